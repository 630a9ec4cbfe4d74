//! A request as it came, and how it is read.

use std::{future::Future, pin::Pin};

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// The request line.
    pub line: String,
    /// Name and value as they came.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub complete: bool,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether it is the gateway's own look at MLflow.
    pub fn is_probe(&self) -> bool {
        self.header("x-request-id").is_none() && (self.target().ends_with("/health") || self.is_api_look())
    }

    /// Whether it is the API call of such a look.
    pub fn is_api_look(&self) -> bool {
        let targets = [
            "/experiments/search?max_results=1&filter=name%3D%27hokusai-gateway-look-",
            "/mlflow-artifacts/artifacts?path=hokusai-gateway-look-",
        ];
        let is_ours = self.header("x-request-id").is_none() && self.line.starts_with("GET ");
        is_ours && targets.iter().any(|target| self.target().contains(target))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }
}

pub async fn head(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Recorded> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        })
        .collect();
    Some(Recorded { connection, line, headers, body: Vec::new(), complete: false })
}

/// Reads the body into `request`; `None` if the client broke it off.
pub fn body<'a>(
    stream: &'a mut TcpStream,
    buffer: &'a mut Vec<u8>,
    request: &'a mut Recorded,
) -> Pin<Box<dyn Future<Output = Option<()>> + 'a>> {
    Box::pin(async move {
        if request.header("transfer-encoding").is_some() {
            loop {
                let size = until_crlf(stream, buffer).await?;
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                let chunk = exactly(stream, buffer, size).await?;
                request.body.extend(chunk);
                until_crlf(stream, buffer).await?;
                if size == 0 {
                    return Some(());
                }
            }
        }
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        while request.body.len() < length {
            if buffer.is_empty() {
                more(stream, buffer).await?;
            }
            let take = buffer.len().min(length - request.body.len());
            request.body.extend(buffer.drain(..take));
        }
        Some(())
    })
}

async fn until_crlf(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 2);
            return Some(line);
        }
        more(stream, buffer).await?;
    }
}

async fn exactly(stream: &mut TcpStream, buffer: &mut Vec<u8>, count: usize) -> Option<Vec<u8>> {
    while buffer.len() < count {
        more(stream, buffer).await?;
    }
    Some(buffer.drain(..count).collect())
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = vec![0; 64 * 1024];
    match stream.read(&mut piece).await {
        Ok(0) | Err(_) => None,
        Ok(count) => {
            buffer.extend_from_slice(&piece[..count]);
            Some(())
        }
    }
}
