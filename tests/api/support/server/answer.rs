//! What the server does with a request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Semaphore};

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
    /// Writes these bytes when the gate has a permit for it, and keeps the connection.
    Gated(Arc<Semaphore>, Vec<u8>),
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

/// Whether the connection is kept.
pub async fn answer(stream: &mut TcpStream, answer: Answer, ended: &AtomicUsize) -> bool {
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
        Answer::Gated(gate, bytes) => {
            gate.acquire().await.unwrap().forget();
            stream.write_all(&bytes).await.is_ok()
        }
        Answer::Silence => std::future::pending().await,
        Answer::Close => false,
    }
}
