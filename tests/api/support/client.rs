//! A client that sends given bytes and tells what came back, truncation included.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{Gateway, PATIENCE};

/// One response; status 0 if the connection was closed before there was one.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The body, unchunked: as much as came.
    pub body: Vec<u8>,
    /// Whether the body's own framing says that it is all there.
    pub complete: bool,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The reason of an error of the gateway's own.
    pub fn reason(&self) -> String {
        assert_eq!(self.header("x-hokusai-error-source"), Some("gateway"), "{self:?}");
        self.json()["reason"].as_str().unwrap().to_owned()
    }
}

/// A connection to the gateway.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends as much as the server takes; whether it took all.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Sends as much as the other side's kernel takes at once.
    pub fn offer(&mut self, bytes: &[u8]) {
        let mut sent = 0;
        while let Ok(count @ 1..) = self.stream.try_write(&bytes[sent..]) {
            sent += count;
        }
    }

    /// Sends nothing more.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next response; `to_head` says that it answers a HEAD request.
    pub async fn response(&mut self, to_head: bool) -> Response {
        timeout(PATIENCE, self.read(to_head)).await.expect("no response in time")
    }

    /// Reads so many bytes at this pace, and tells how many came.
    pub async fn receive_slowly(&mut self, bytes: usize, piece: usize, pause: std::time::Duration) -> usize {
        let (mut received, mut buffer) = (0, vec![0; piece]);
        while received < bytes {
            actix_rt::time::sleep(pause).await;
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => received += count,
            }
        }
        received
    }

    /// The next response, if it comes within this time.
    pub async fn response_within(&mut self, time: std::time::Duration) -> Option<Response> {
        timeout(time, self.read(false)).await.ok()
    }

    /// Whether a response begins with these bytes.
    pub async fn begins_with(&mut self, bytes: &[u8]) -> bool {
        while self.buffer.len() < bytes.len() && self.more().await {}
        self.buffer.starts_with(bytes)
    }

    /// Waits until these bytes have come, whatever is around them.
    pub async fn until_received(&mut self, bytes: &[u8]) {
        let reading = async {
            while !self.buffer.windows(bytes.len()).any(|window| window == bytes) {
                assert!(self.more().await, "closed before they came");
            }
        };
        timeout(PATIENCE, reading).await.expect("they did not come in time");
    }

    /// Whether the server has closed the connection, or does so now.
    pub async fn is_closed(&mut self) -> bool {
        matches!(timeout(PATIENCE, self.stream.read(&mut [0; 1])).await, Ok(Ok(0) | Err(_)))
    }

    async fn read(&mut self, to_head: bool) -> Response {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if !self.more().await {
                return Response { status: 0, headers: Vec::new(), body: Vec::new(), complete: false };
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect();
        let mut response = Response { status, headers, body: Vec::new(), complete: false };
        let chunked = response.header("transfer-encoding").is_some();
        let length = response.header("content-length").map(|length| length.parse::<usize>().unwrap());
        response.complete = if to_head || status == 204 || status == 304 || status < 200 {
            true
        } else if chunked {
            self.chunks(&mut response.body).await
        } else {
            self.exactly(length.unwrap_or(0), &mut response.body).await
        };
        response
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let end = loop {
                if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                    break end;
                }
                if !self.more().await {
                    return false;
                }
            };
            let size = usize::from_str_radix(str::from_utf8(&self.buffer[..end]).unwrap(), 16).unwrap();
            self.buffer.drain(..end + 2);
            if !self.exactly(size, body).await || !self.exactly(2, &mut Vec::new()).await {
                return false;
            }
            if size == 0 {
                return true;
            }
        }
    }

    async fn exactly(&mut self, count: usize, to: &mut Vec<u8>) -> bool {
        let mut missing = count;
        while missing > 0 {
            if self.buffer.is_empty() && !self.more().await {
                return false;
            }
            let take = self.buffer.len().min(missing);
            to.extend(self.buffer.drain(..take));
            missing -= take;
        }
        true
    }

    async fn more(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        match self.stream.read(&mut piece).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                true
            }
        }
    }
}

/// Sends one request on a connection of its own.
pub async fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Response {
    let mut connection = Connection::open(address).await;
    connection.send(request.as_ref()).await;
    connection.response(request.as_ref().starts_with(b"HEAD ")).await
}

/// All that Prometheus is told.
pub async fn metrics(gateway: &Gateway) -> Response {
    metrics_at(gateway.metrics_address.unwrap()).await
}

/// The same of a process.
pub async fn metrics_at(address: SocketAddr) -> Response {
    let metrics = ask(address, "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(metrics.status, 200);
    metrics
}

/// The value of a metric, named without its prefix and with its labels in order; 0 if it is not there.
pub async fn metric(gateway: &Gateway, name: &str) -> f64 {
    metric_at(gateway.metrics_address.unwrap(), name).await.unwrap_or_default()
}

/// The same of a process, if it is there.
pub async fn metric_at(address: SocketAddr, name: &str) -> Option<f64> {
    let metrics = metrics_at(address).await;
    let value = metrics.text().lines().find_map(|line| {
        line.strip_prefix("hokusai_gateway_")?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned)
    });
    value.map(|value| value.parse().unwrap())
}
