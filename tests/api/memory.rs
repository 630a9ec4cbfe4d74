//! What the bounds allow is opened, all of it at once, and weighed: docs/OPERATING.md has the table.

use std::time::Duration;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use hokusai_gateway::auth::key_file::edit::CreatedKey;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::support::{
    Gateway, GatewayBuilder, Server, ask,
    client::{Connection, metric},
    eventually,
    gateway::create_key,
    process::Process,
    server::Answer,
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// What a connection takes by itself, and what is read ahead on it.
const CONNECTION: usize = 16 * KIB;
const AHEAD: usize = 8 * KIB;
/// What the allocator keeps, and the gateway needs for other things meanwhile.
const SLACK: usize = 8 * MIB;

const TARGET: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";

/// As many files as this process may have.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

struct Stage {
    gateway: Process,
    key: String,
    _folder: TempDir,
}

impl Stage {
    fn set(settings: &[(&str, &str)]) -> Self {
        raise_file_limit();
        let folder = tempfile::tempdir().unwrap();
        let created = create_key(&folder.path().join("keys.toml"), "ada", None);
        let always = [("MLFLOW_SERVER_URL", "http://127.0.0.1:9"), ("HOKUSAI__SERVER__HEAD_TIMEOUT", "60s")];
        let gateway = Process::serve(folder.path(), &[&always, settings].concat());
        let key = created.key.expose_secret().to_owned();
        Self { gateway, key, _folder: folder }
    }

    /// So many connections, on which these bytes are sent. What the gateway does not read stays with its kernel.
    async fn open(&self, count: usize, bytes: &[u8]) -> Vec<Connection> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            let mut connection = Connection::open(self.gateway.address).await;
            connection.offer(bytes);
            connections.push(connection);
        }
        connections
    }

    /// Waits until it has grown no more for a while, and tells by how much since `before`.
    async fn grown(&self, before: usize) -> usize {
        let mut last = 0;
        loop {
            actix_rt::time::sleep(Duration::from_millis(300)).await;
            let peak = self.gateway.peak_memory();
            if peak == last {
                return peak - before;
            }
            last = peak;
        }
    }

    async fn lives(&self) {
        assert_eq!(ask(self.gateway.address, "GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 200);
    }
}

#[actix_web::test]
async fn heads_that_do_not_end_come_to_their_room_and_no_more() {
    let stage = Stage::set(&[("HOKUSAI__SERVER__MAX_CONNECTIONS", "800")]);
    stage.lives().await;
    let before = stage.gateway.peak_memory();
    let line = format!("GET {TARGET}?{} HTTP/1.1\r\n", "x".repeat(127 * KIB));
    let head = format!("{line}host: a\r\nx: {}", "y".repeat(31 * KIB));
    let strangers = stage.open(800, head.as_bytes()).await;
    let grown = stage.grown(before).await;
    let allowed = 800 * CONNECTION + 2 * 32 * MIB + SLACK;
    assert!(grown < allowed, "{} KiB, and not {}", grown / KIB, allowed / KIB);
    // And whoever comes now is served.
    stage.lives().await;
    drop(strangers);
}

#[actix_web::test]
async fn a_large_head_costs_no_more_than_its_room_and_nothing_when_it_is_answered() {
    let stage = Stage::set(&[("HOKUSAI__SERVER__MAX_CONNECTIONS", "400")]);
    stage.lives().await;
    let before = stage.gateway.peak_memory();
    let line = format!("GET {TARGET}?{} HTTP/1.1\r\n", "x".repeat(127 * KIB));
    let head = format!("{line}host: a\r\nx: {}\r\n\r\n", "y".repeat(31 * KIB));
    let mut answered = Vec::new();
    for _ in 0..400 {
        let mut connection = Connection::open(stage.gateway.address).await;
        connection.send(&head).await;
        let response = connection.response(false).await;
        assert_eq!((response.status, response.header("connection")), (401, Some("close")));
        answered.push(connection);
    }
    let grown = stage.grown(before).await;
    assert!(grown < SLACK, "{} KiB, and not {}", grown / KIB, SLACK / KIB);
}

#[actix_web::test]
async fn large_heads_that_are_being_answered_leave_half_of_the_room_to_others() {
    let auth = Server::start(|_| Answer::Silence).await;
    let stage = Stage::set(&[
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__AUTH__SERVICE__TIMEOUT", "60s"),
        ("HOKUSAI__SERVER__WORKERS", "1"),
    ]);
    let key = "authorization: Bearer stolen\r\n";
    let line = format!("GET {TARGET}?{} HTTP/1.1\r\n", "x".repeat(127 * KIB));
    let head = format!("{line}host: a\r\n{key}x: {}\r\n\r\n", "y".repeat(31 * KIB));
    let mut connections = Vec::new();
    for _ in 0..160 {
        let mut connection = Connection::open(stage.gateway.address).await;
        connection.send(&head).await;
        connections.push(connection);
    }
    let responses = connections.iter_mut().map(|connection| connection.response(false));
    let refused = 160 - 16 * MIB / head.len();
    let refusals: Vec<_> = responses.collect::<FuturesUnordered<_>>().take(refused).collect().await;
    for response in refusals {
        assert_eq!((response.status, response.reason().as_str()), (503, "upstream_unavailable"));
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(response.header("connection"), Some("close"));
        assert_eq!(response.json()["request_id"].as_str(), response.header("x-request-id"));
    }
    assert_eq!(auth.begun(), 1, "the others are under way");
    // A head in two pieces finds room.
    let mut other = Connection::open(stage.gateway.address).await;
    other.send("GET /live HTTP/1.1\r\n").await;
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    other.send("host: a\r\n\r\n").await;
    assert_eq!(other.response(false).await.status, 200);
    // And a large one does, when those are gone.
    drop(connections);
    eventually("their room is free", async || {
        let line = format!("GET /live?{} HTTP/1.1\r\n", "x".repeat(127 * KIB));
        ask(stage.gateway.address, format!("{line}host: a\r\n\r\n")).await.status == 200
    })
    .await;
}

#[actix_web::test]
async fn bodies_of_strangers_stay_where_they_are() {
    let auth = Server::start(|_| Answer::Silence).await;
    let stage = Stage::set(&[
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__AUTH__SERVICE__TIMEOUT", "60s"),
        ("HOKUSAI__SERVER__MAX_CONNECTIONS", "500"),
    ]);
    stage.lives().await;
    let before = stage.gateway.peak_memory();
    let head = format!("POST {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer stolen\r\n");
    let upload = format!("{head}content-length: 1000000\r\n\r\n{}", "x".repeat(200 * KIB));
    let strangers = stage.open(500, upload.as_bytes()).await;
    eventually("the auth service is asked", async || auth.begun() > 0).await;
    let grown = stage.grown(before).await;
    let allowed = 500 * (CONNECTION + AHEAD) + SLACK;
    assert!(grown < allowed, "{} KiB, and not {}", grown / KIB, allowed / KIB);
    drop(strangers);
}

#[actix_web::test]
async fn bodies_that_are_read_come_to_the_share_of_their_key_and_no_more() {
    let values = format!(r#"{{"a":[{}0],"b":""#, r#"{"":0},"#.repeat(16_000));
    let body = format!("{values}{}", "x".repeat(MIB - KIB - values.len()));
    for (target, body) in [("/api/2.0/mlflow/runs/delete", &body[..]), ("/graphql", &body[..63 * KIB])] {
        let stage = Stage::set(&[("HOKUSAI__MLFLOW__QUEUE_TIMEOUT", "200ms")]);
        stage.lives().await;
        let before = stage.gateway.peak_memory();
        let post = |body: &str, length: usize| {
            let key = &stage.key;
            let head = format!("POST {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n");
            format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        };
        let unfinished = post(body, body.len() + 3);
        let mut requests = stage.open(300, unfinished.as_bytes()).await;
        let grown = stage.grown(before).await;
        let allowed = 300 * (CONNECTION + AHEAD) + 2 * 4 * MIB + SLACK;
        assert!(grown < allowed, "{target}: {} KiB, and not {}", grown / KIB, allowed / KIB);

        // Those that found no room are told so, and nobody is told anything else.
        let (mut refused, moment) = (0, Duration::from_millis(1));
        while refused < 200 {
            for mut request in std::mem::take(&mut requests) {
                let Some(response) = request.response_within(moment).await else {
                    requests.push(request);
                    continue;
                };
                assert_eq!((response.status, response.reason().as_str()), (429, "rate_limited"), "{target}");
                assert_eq!(response.header("retry-after"), Some("1"));
                refused += 1;
            }
        }
        drop(requests);

        // One after the other they are read: a thousand values of one body take their memory for a moment.
        let whole = post(&format!("{body}\"}} "), body.len() + 3);
        let answers = stage.open(16, whole.as_bytes()).await;
        let grown = stage.grown(before).await;
        assert!(grown < allowed + 16 * MIB, "{target}: {} KiB", grown / KIB);
        drop(answers);
        stage.lives().await;
    }
}

#[actix_web::test]
async fn where_all_keys_have_their_share_the_next_body_is_told_to_come_again() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("MLFLOW__QUEUE_TIMEOUT", "200ms").start(&mlflow).await;
    let keys: Vec<_> =
        (0..16).map(|user| create_key(&gateway.key_file, &format!("user-{user}"), None)).collect();
    let delete = |key: &str, length: usize| {
        let head =
            "POST /api/2.0/mlflow/runs/delete HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
        format!("{head}authorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{{}}")
    };
    let key_of = |created: &CreatedKey| created.key.expose_secret().to_owned();
    let last = key_of(&keys[15]);
    eventually("the keys are known", async || ask(gateway.address, delete(&last, 2)).await.status == 200)
        .await;
    let mut unfinished = Vec::new();
    for created in &keys {
        for _ in 0..4 {
            let mut connection = Connection::open(gateway.address).await;
            connection.send(delete(&key_of(created), MIB)).await;
            unfinished.push(connection);
        }
    }
    eventually("all have their share", async || {
        ask(gateway.address, delete(&gateway.key, 2)).await.status == 503
    })
    .await;
    let response = ask(gateway.address, delete(&gateway.key, 2)).await;
    assert_eq!((response.status, response.reason().as_str()), (503, "upstream_unavailable"));
    assert_eq!(response.header("retry-after"), Some("1"));
    let response = ask(gateway.address, delete(&last, 2)).await;
    assert_eq!((response.status, response.reason().as_str()), (429, "rate_limited"));
    drop(unfinished);
    eventually("there is room again", async || ask(gateway.address, delete(&last, 2)).await.status == 200)
        .await;
}

/// A gateway that has room for so many, and the connections that were dropped.
async fn crowded(mlflow: &Server, most: &str) -> (Gateway, Vec<Connection>) {
    let gateway = GatewayBuilder::default().set("SERVER__MAX_CONNECTIONS", most).start(mlflow).await;
    (gateway, Vec::new())
}

#[actix_web::test]
async fn for_one_connection_too_many_the_longest_idle_one_goes_and_never_one_that_is_served() {
    let mlflow = Server::start(|_| Answer::Silence).await;
    let (gateway, mut served) = crowded(&mlflow, "20").await;
    for _ in 0..17 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(gateway.request("GET", TARGET, "")).await;
        served.push(connection);
    }
    eventually("all are served", async || mlflow.begun() == 17).await;
    let live = "GET /live HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(live).await;
        assert_eq!(connection.response(false).await.status, 200);
        idle.push(connection);
    }
    // The second one is used again, and the third has begun a head: the first one has been idle longest.
    idle[1].send(live).await;
    assert_eq!(idle[1].response(false).await.status, 200);
    idle[2].send("GET").await;

    let mut new = Connection::open(gateway.address).await;
    new.send(live).await;
    assert_eq!(new.response(false).await.status, 200);
    assert!(idle[0].is_closed().await);
    idle[1].send(live).await;
    assert_eq!(idle[1].response(false).await.status, 200);
    for connection in &mut served {
        assert!(connection.response_within(Duration::ZERO).await.is_none(), "one that is served went");
    }
    assert_eq!(metric(&gateway, "connections_dropped_total").await, 1.0);
}

#[actix_web::test]
async fn where_all_are_served_nobody_is_taken_in() {
    let mlflow = Server::start(|_| Answer::Silence).await;
    let (gateway, mut served) = crowded(&mlflow, "16").await;
    for _ in 0..16 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(gateway.request("GET", TARGET, "")).await;
        served.push(connection);
    }
    eventually("all are served", async || mlflow.begun() == 16).await;
    assert!(Connection::open(gateway.address).await.is_closed().await);
    served.pop();
    eventually("there is room again", async || {
        let mut connection = Connection::open(gateway.address).await;
        connection.try_send(b"GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
        connection.response(false).await.status == 200
    })
    .await;
}
