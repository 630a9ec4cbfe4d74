//! Connections to MLflow that were idle: no request is lost on one that the server is about to close, and none comes twice.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_rt::time::sleep;
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{Gateway, GatewayBuilder, ask, client::Connection, eventually};

const SEARCH: &str = "/api/2.0/mlflow/experiments/search";
const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1/a";

/// When a server closes idle connections.
#[derive(Clone, Copy)]
struct Closing {
    after: Duration,
    /// For so long before that it reads no more: as if the way took half of it in either direction.
    unread: Duration,
    /// What it says of it.
    announces: &'static str,
}

/// A server, the requests that it has read with their connections, and how many of those are open.
#[derive(Clone, Default)]
struct Seen {
    requests: Arc<Mutex<Vec<(String, usize)>>>,
    open: Arc<Mutex<usize>>,
}

impl Seen {
    fn requests(&self) -> Vec<(String, usize)> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection on which this came.
    fn connection(&self, target: &str) -> usize {
        let requests = self.requests();
        let mut found = requests.iter().filter(|(seen, _)| seen == target).map(|(_, connection)| *connection);
        let connection = found.next().unwrap();
        assert_eq!(found.next(), None, "{target} came twice");
        connection
    }

    fn open(&self) -> usize {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn start(closing: Closing) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let shared = seen.clone();
    actix_rt::spawn(async move {
        for connection in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            let seen = shared.clone();
            actix_rt::spawn(async move {
                *seen.open.lock().unwrap() += 1;
                serve(stream, connection, closing, &seen).await;
                *seen.open.lock().unwrap() -= 1;
            });
        }
    });
    (address, seen)
}

async fn serve(mut stream: TcpStream, connection: usize, closing: Closing, seen: &Seen) {
    loop {
        let reading = timeout(closing.after - closing.unread, read(&mut stream));
        let Ok(request) = reading.await else {
            sleep(closing.unread).await;
            return;
        };
        let Some(request) = request else { return };
        let target = request.split(' ').nth(1).unwrap().to_owned();
        seen.requests.lock().unwrap().push((target, connection));
        let answer = format!("HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\n{{}}", closing.announces);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A whole request, whose body has two bytes or none.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        let text = str::from_utf8(&request).unwrap();
        let body = if text.contains("content-length: 2") { "\r\n\r\n{}" } else { "\r\n\r\n" };
        if text.ends_with(body) {
            return Some(text.to_owned());
        }
    }
}

/// A gateway that asks nothing of its own meanwhile.
async fn gateway(mlflow: SocketAddr) -> Gateway {
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "1h")
        .set("MLFLOW__KEEP_ALIVE", "1m")
        .set("LIMITS__MODE", "off");
    gateway.start_with(&format!("http://{mlflow}")).await
}

async fn send(gateway: &Gateway, method: &str, target: &str) -> u16 {
    let body = if method == "GET" { "" } else { "content-length: 2\r\n\r\n{}" };
    ask(gateway.address, gateway.request(method, target, body)).await.status
}

#[actix_web::test]
async fn no_request_is_lost_on_a_connection_that_is_being_closed_and_none_comes_twice() {
    let (after, unread) = (Duration::from_secs(2), Duration::from_millis(200));
    let (mlflow, seen) = start(Closing { after, unread, announces: "" }).await;
    let gateway = gateway(mlflow).await;
    let mut sent = Vec::new();
    for (round, pause) in
        [0, 1850, 1900, 1950, 2000, 2010, 1800, 1000, 900, 1990, 1880].into_iter().enumerate()
    {
        sleep(Duration::from_millis(pause)).await;
        let requests: Vec<_> = (0..24)
            .map(|number| match number % 4 {
                0 => ("PUT", format!("{ARTIFACT}{round}.{number}")),
                1 => ("GET", format!("{SEARCH}?page_token={round}.{number}")),
                _ => ("POST", format!("{SEARCH}?page_token={round}.{number}")),
            })
            .collect();
        let statuses = join_all(requests.iter().map(|(method, target)| send(&gateway, method, target))).await;
        assert_eq!(statuses, vec![200; 24], "in round {round}, after {pause} ms");
        sent.extend(requests);
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (target, _) in seen.requests() {
        *counts.entry(target).or_default() += 1;
    }
    for (method, target) in sent {
        assert_eq!(counts.get(&target), Some(&1), "{method} {target}");
    }
}

#[actix_web::test]
async fn a_small_upload_with_a_pause_meets_no_connection_that_is_closed_meanwhile() {
    let after = Duration::from_millis(600);
    let (mlflow, seen) = start(Closing { after, unread: Duration::ZERO, announces: "" }).await;
    let gateway = gateway(mlflow).await;
    assert_eq!(send(&gateway, "PUT", ARTIFACT).await, 200);
    let slow = "/api/2.0/mlflow-artifacts/artifacts/1/slow";
    let mut client = Connection::open(gateway.address).await;
    client.send(gateway.request("PUT", slow, "content-length: 2\r\n\r\n{")).await;
    sleep(2 * after).await;
    client.send("}").await;
    assert_eq!(client.response(false).await.status, 200);
    seen.connection(slow);
}

#[actix_web::test]
async fn requests_that_follow_each_other_share_a_connection() {
    let after = Duration::from_secs(60);
    let (mlflow, seen) = start(Closing { after, unread: Duration::ZERO, announces: "" }).await;
    let gateway = gateway(mlflow).await;
    for number in 0..20 {
        assert_eq!(send(&gateway, "POST", &format!("{SEARCH}?page_token={number}")).await, 200);
    }
    let connections: Vec<_> = seen.requests().iter().map(|(_, connection)| *connection).collect();
    assert!(connections.windows(2).filter(|pair| pair[0] != pair[1]).count() < 3, "{connections:?}");
}

#[actix_web::test]
async fn what_a_server_was_seen_to_close_is_learned_while_nobody_asks() {
    let after = Duration::from_millis(600);
    let (mlflow, seen) = start(Closing { after, unread: Duration::ZERO, announces: "" }).await;
    let gateway = gateway(mlflow).await;
    assert_eq!(send(&gateway, "POST", SEARCH).await, 200);
    eventually("it is closed", async || seen.open() == 0).await;
    sleep(Duration::from_millis(300)).await;
    // Half of what was seen is at most 300 ms, and less than what is believed of a stranger.
    assert_eq!(send(&gateway, "POST", "/api/2.0/mlflow/runs/create?first").await, 200);
    sleep(Duration::from_millis(350)).await;
    assert_eq!(send(&gateway, "POST", "/api/2.0/mlflow/runs/create?second").await, 200);
    let connection = |name: &str| seen.connection(&format!("/api/2.0/mlflow/runs/create?{name}"));
    assert_ne!(connection("first"), connection("second"));
}

#[actix_web::test]
async fn what_a_server_says_of_its_idle_connections_is_believed() {
    let after = Duration::from_secs(60);
    let closing = Closing { after, unread: Duration::ZERO, announces: "keep-alive: timeout=0, max=9\r\n" };
    let (mlflow, seen) = start(closing).await;
    let gateway = gateway(mlflow).await;
    for (method, target) in [
        ("POST", "/api/2.0/mlflow/runs/create?first"),
        ("POST", "/api/2.0/mlflow/runs/create?second"),
        // It can be sent again, and so it is tried on the same one.
        ("GET", "/api/2.0/mlflow/runs/get?third"),
    ] {
        assert_eq!(send(&gateway, method, target).await, 200);
    }
    let connection = |name: &str| seen.connection(&format!("/api/2.0/mlflow/runs/{name}"));
    assert_ne!(connection("create?first"), connection("create?second"));
    assert_eq!(connection("create?second"), connection("get?third"));
}

#[actix_web::test]
async fn connections_that_are_not_trusted_any_more_do_not_pile_up() {
    let after = Duration::from_secs(60);
    let (mlflow, seen) = start(Closing { after, unread: Duration::ZERO, announces: "" }).await;
    let gateway = gateway(mlflow).await;
    for round in 0..5 {
        let targets: Vec<_> = (0..3).map(|number| format!("{SEARCH}?page_token={round}.{number}")).collect();
        let statuses = join_all(targets.iter().map(|target| send(&gateway, "POST", target))).await;
        assert_eq!(statuses, [200; 3]);
        sleep(Duration::from_millis(600)).await;
    }
    eventually("the others are closed", async || seen.open() <= 6).await; // three, and the prober's
    assert!(
        seen.requests().iter().map(|(_, connection)| connection).max() > Some(&9),
        "{:?}",
        seen.requests()
    );
}

#[actix_web::test]
async fn an_idle_connection_is_closed_in_time_also_where_no_other_request_comes() {
    let after = Duration::from_secs(60);
    let (mlflow, seen) = start(Closing { after, unread: Duration::ZERO, announces: "" }).await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "1h")
        .set("MLFLOW__KEEP_ALIVE", "500ms")
        .start_with(&format!("http://{mlflow}"))
        .await;
    assert_eq!(send(&gateway, "POST", SEARCH).await, 200);
    eventually("it is closed", async || !seen.requests().is_empty() && seen.open() == 0).await;
}
