//! A server that records every request byte for byte and answers with given bytes: the faults that real servers
//! do not make, and the proof of what reached them.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::eventually;

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
    fn is_probe(&self) -> bool {
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

/// What the server does with one request.
#[derive(Clone)]
pub enum Answer {
    /// Writes these bytes and keeps the connection.
    Bytes(Vec<u8>),
    /// Writes these bytes and closes.
    BytesThenClose(Vec<u8>),
    /// Writes these bytes and resets the connection.
    BytesThenReset(Vec<u8>),
    /// Writes pieces with a pause after each, and keeps the connection.
    Pieces(Vec<Vec<u8>>, Duration),
    /// A body of a terabyte, for as long as somebody takes it.
    Endless,
    /// Writes these bytes after a while, and keeps the connection.
    After(Duration, Vec<u8>),
    /// Never answers.
    Silence,
    /// Closes without a byte.
    Close,
}

impl Answer {
    /// A 200 with a length.
    pub fn ok(body: &str) -> Self {
        Self::json(200, body)
    }

    pub fn json(status: u16, body: &str) -> Self {
        Self::Bytes(
            format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        )
    }

    /// A page, as load balancers have them.
    pub fn page(status: u16) -> Self {
        let page = "<html><h1>No such page</h1></html>";
        let length = page.len();
        Self::bytes(&format!(
            "HTTP/1.1 {status} X\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{page}"
        ))
    }

    pub fn bytes(bytes: &str) -> Self {
        Self::Bytes(bytes.as_bytes().to_vec())
    }

    pub fn bytes_then_close(bytes: &str) -> Self {
        Self::BytesThenClose(bytes.as_bytes().to_vec())
    }
}

type Script = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

/// A running server; it ends with its runtime.
pub struct Server {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Recorded>>>,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    tasks: Arc<Mutex<Vec<actix_rt::task::JoinHandle<()>>>>,
}

impl Server {
    /// Starts a server that answers each request as `script` says; the gateway's own API call as MLflow does.
    pub async fn start(script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_asked(
            move |request| {
                if request.is_api_look() { Answer::ok("{}") } else { script(request) }
            },
        )
        .await
    }

    /// The same, where `script` answers the gateway's own API call too.
    pub async fn start_asked(script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (script, records): (Script, _) = (Arc::new(script), Arc::clone(&log));
        let counts = (Arc::clone(&begun), Arc::clone(&ended));
        let tasks = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::clone(&tasks);
        let accepting = actix_rt::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let (script, records) = (Arc::clone(&script), Arc::clone(&records));
                let serving = actix_rt::spawn(serve(stream, connection, script, records, counts.clone()));
                connections.lock().unwrap().push(serving);
                connection += 1;
            }
        });
        tasks.lock().unwrap().push(accepting);
        Self { address, log, begun, ended, tasks }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Dies: its port and every connection are closed.
    pub fn kill(&self) {
        self.tasks.lock().unwrap().iter().for_each(actix_rt::task::JoinHandle::abort);
    }

    /// Everything that came so far, health probes apart.
    pub fn requests(&self) -> Vec<Recorded> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|request| !request.is_probe()).cloned().collect()
    }

    /// The validations that an auth service was asked for, usage reports apart.
    pub fn validations(&self) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.target().ends_with("/validate"));
        requests
    }

    /// The only request that came.
    pub fn request(&self) -> Recorded {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// Waits until the head of a request has come, whatever becomes of its body.
    pub async fn until_begun(&self) {
        eventually("a request comes", async || self.begun() > 0).await;
    }

    /// How many requests have begun to arrive, health probes apart.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many endless bodies nobody takes any more.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits until a request has come that `wanted` accepts.
    pub async fn until(&self, wanted: impl Fn(&Recorded) -> bool) -> Recorded {
        let found = || self.requests().into_iter().find(&wanted);
        eventually("the wanted request comes", async || found().is_some()).await;
        found().unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Script,
    log: Arc<Mutex<Vec<Recorded>>>,
    (begun, ended): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let mut buffer = Vec::new();
    while let Some(mut request) = head(&mut stream, &mut buffer, connection).await {
        begun.fetch_add(usize::from(!request.is_probe()), Ordering::Relaxed);
        let complete = body(&mut stream, &mut buffer, &mut request).await.is_some();
        request.complete = complete;
        log.lock().unwrap().push(request.clone());
        if !complete || !answer(&mut stream, script(&request), &ended).await {
            return;
        }
    }
}

/// Whether the connection is kept.
async fn answer(stream: &mut TcpStream, answer: Answer, ended: &AtomicUsize) -> bool {
    match answer {
        Answer::Bytes(bytes) => stream.write_all(&bytes).await.is_ok(),
        Answer::BytesThenClose(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Answer::BytesThenReset(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // What was written is to arrive before the reset.
            actix_rt::time::sleep(Duration::from_millis(20)).await;
            stream.set_zero_linger().unwrap();
            false
        }
        Answer::Pieces(pieces, pause) => {
            for piece in pieces {
                if stream.write_all(&piece).await.is_err() {
                    return false;
                }
                actix_rt::time::sleep(pause).await;
            }
            true
        }
        Answer::After(pause, bytes) => {
            actix_rt::time::sleep(pause).await;
            stream.write_all(&bytes).await.is_ok()
        }
        Answer::Endless => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
            let mut sent = stream.write_all(head).await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 64 * 1024]).await;
            }
            ended.fetch_add(1, Ordering::Relaxed);
            false
        }
        Answer::Silence => std::future::pending().await,
        Answer::Close => false,
    }
}

async fn head(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Recorded> {
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
fn body<'a>(
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
