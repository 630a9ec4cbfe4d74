use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::http_client::stream::Stream;

/// A guarded connection, and its other end, whose calls let no time pass for the runtime.
async fn connection() -> (Guarded, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = actix_rt::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let idle = IdleConnections::new(Duration::from_secs(9));
    let guarded = Guarded::new(Open::new(Stream::Tcp(client)), None, idle, Reuse::Any);
    (guarded, listener.accept().unwrap().0)
}

#[actix_web::test]
async fn nothing_is_kept_of_a_large_body_behind_its_end() {
    let (mut guarded, mut server) = connection().await;
    server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123").unwrap();
    let mut read = vec![0; 41];
    guarded.read_exact(&mut read).await.unwrap();
    server.write_all(b"456").unwrap();
    guarded.read_exact(&mut read[..3]).await.unwrap();
    assert!(guarded.ahead.capacity() > 0);
    server.write_all(b"789").unwrap();
    assert_eq!((guarded.read(&mut read).await.unwrap(), guarded.ahead.capacity()), (3, 0));
}

#[actix_web::test]
async fn an_answer_is_read_also_where_the_end_behind_it_is_seen_first() {
    let (mut guarded, mut server) = connection().await;
    guarded.write_all(b"PUT / HTTP/1.1\r\ncontent-length: 9\r\n\r\n123").await.unwrap();
    server.read_exact(&mut [0; 9]).unwrap();
    let answer = b"HTTP/1.1 413 X\r\ncontent-length: 0\r\n\r\n";
    server.write_all(answer).unwrap();
    // With bytes that it has not read, this is a reset.
    drop(server);
    guarded.write_all(b"456789").await.unwrap();
    let mut read = vec![0; answer.len()];
    guarded.read_exact(&mut read).await.unwrap();
    assert_eq!(read, answer);
}
