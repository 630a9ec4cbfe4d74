//! While connections to MLflow are short, keys take turns, and artifacts leave some to other requests.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tokio::sync::Semaphore;

use crate::support::{
    Gateway, GatewayBuilder, Server, client::Connection, eventually, gateway::create_key, server::Answer,
};

const SEARCH: &str = "/api/2.0/mlflow/experiments/search";
const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1/a";

/// An MLflow that answers as often as its gate lets it, and a gateway with a second key.
struct Stage {
    mlflow: Server,
    gate: Arc<Semaphore>,
    gateway: Gateway,
    quiet: String,
}

impl Stage {
    async fn set(connections: &str, most_waiting: &str) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let gated = Arc::clone(&gate);
        let answer = b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n".to_vec();
        let mlflow = Server::start(move |request| {
            if request.is_probe() || request.target().ends_with("?open") {
                return Answer::ok("{}");
            }
            Answer::Gated(Arc::clone(&gated), answer.clone())
        })
        .await;
        let gateway = GatewayBuilder::default()
            .set("MLFLOW__MAX_CONNECTIONS", connections)
            .set("MLFLOW__MAX_WAITING", most_waiting)
            .set("MLFLOW__QUEUE_TIMEOUT", "1h")
            .start(&mlflow)
            .await;
        let quiet = create_key(&gateway.key_file, "quiet", None).key.expose_secret().to_owned();
        let stage = Self { mlflow, gate, gateway, quiet };
        eventually("the key is known", async || stage.under_way(&stage.quiet.clone()).await == Some(0)).await;
        stage
    }

    /// How many requests and artifacts a key has under way.
    async fn under_way(&self, key: &str) -> Option<u64> {
        let mut connection = self.send(key, "GET", "/account").await;
        let account = connection.response(false).await.json();
        let of = |what: &str| account["limits"]["concurrent"][what].as_u64();
        Some(of("requests")? + of("artifacts")?)
    }

    async fn send(&self, key: &str, method: &str, target: &str) -> Connection {
        let mut connection = Connection::open(self.gateway.address).await;
        let head = format!("{method} {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n");
        let body = if method == "PUT" { "content-length: 2\r\n\r\nok" } else { "\r\n" };
        connection.send(format!("{head}{body}")).await;
        connection
    }

    /// Sends so many, one behind the other, and waits until they are under way.
    async fn ask(&self, key: &str, (method, target): (&str, &str), count: u64) -> Vec<Connection> {
        let before = self.under_way(key).await.unwrap();
        let mut connections = Vec::new();
        for number in 1..=count {
            connections.push(self.send(key, method, target).await);
            let is_there = async || self.under_way(key).await == Some(before + number);
            eventually("it is under way", is_there).await;
        }
        connections
    }

    /// The users of the requests that MLflow has seen, in their order.
    fn served(&self) -> Vec<String> {
        let users =
            |seen: &crate::support::server::Recorded| seen.header("x-hokusai-user-id").unwrap().to_owned();
        self.mlflow.requests().iter().map(users).collect()
    }
}

#[actix_web::test]
async fn keys_are_served_in_turn_however_many_requests_one_has() {
    let stage = Stage::set("1", "100").await;
    let noisy = stage.gateway.key.clone();
    let mut asked = stage.ask(&noisy, ("GET", SEARCH), 6).await;
    asked.extend(stage.ask(&stage.quiet.clone(), ("GET", SEARCH), 2).await);
    assert_eq!(stage.served(), ["ada"]);
    stage.gate.add_permits(8);
    for mut asked in asked {
        assert_eq!(asked.response(false).await.status, 200);
    }
    assert_eq!(stage.served(), ["ada", "ada", "quiet", "ada", "quiet", "ada", "ada", "ada"]);
}

#[actix_web::test]
async fn artifacts_leave_connections_to_other_requests() {
    for method in ["PUT", "GET"] {
        let stage = Stage::set("4", "100").await;
        let noisy = stage.gateway.key.clone();
        let uploads = stage.ask(&noisy, (method, ARTIFACT), 32).await;
        assert_eq!(stage.mlflow.requests().len(), 3, "one of four is kept");
        for key in [&stage.quiet, &noisy] {
            let mut search = stage.send(key, "GET", "/api/2.0/mlflow/experiments/search?open").await;
            assert_eq!(search.response(false).await.status, 200, "{method}");
        }
        // The uploads of another key have their turns among them.
        let mut upload = stage.ask(&stage.quiet.clone(), (method, ARTIFACT), 1).await.remove(0);
        stage.gate.add_permits(5);
        assert_eq!(upload.response(false).await.status, 200);
        stage.gate.add_permits(100);
        for mut upload in uploads {
            assert_eq!(upload.response(false).await.status, 200);
        }
    }
}

#[actix_web::test]
async fn a_full_queue_makes_room_for_a_key_with_fewer_in_it() {
    let stage = Stage::set("1", "4").await;
    let noisy = stage.gateway.key.clone();
    let mut of_noisy = stage.ask(&noisy, ("GET", SEARCH), 5).await;
    let mut one_more = stage.send(&noisy, "GET", SEARCH).await;
    let refused = one_more.response(false).await;
    assert_eq!((refused.status, refused.reason().as_str()), (503, "upstream_unavailable"));
    let mut quiet = stage.ask(&stage.quiet.clone(), ("GET", SEARCH), 1).await.remove(0);
    let displaced = of_noisy.pop().unwrap().response(false).await;
    assert_eq!((displaced.status, displaced.reason().as_str()), (503, "upstream_unavailable"));
    stage.gate.add_permits(100);
    assert_eq!(quiet.response(false).await.status, 200);
    for mut asked in of_noisy {
        assert_eq!(asked.response(false).await.status, 200);
    }
    assert_eq!(stage.served(), ["ada", "ada", "quiet", "ada", "ada"]);
}

#[actix_web::test]
async fn who_hangs_up_while_waiting_keeps_nobody() {
    let stage = Stage::set("1", "100").await;
    let noisy = stage.gateway.key.clone();
    let mut first = stage.ask(&noisy, ("GET", SEARCH), 1).await.remove(0);
    let waiting = stage.ask(&noisy, ("GET", SEARCH), 20).await;
    let mut quiet = stage.ask(&stage.quiet.clone(), ("GET", SEARCH), 1).await.remove(0);
    drop(waiting);
    eventually("they are gone", async || stage.under_way(&noisy).await == Some(1)).await;
    stage.gate.add_permits(2);
    assert_eq!(first.response(false).await.status, 200);
    assert_eq!(quiet.response(false).await.status, 200);
    assert_eq!(stage.served(), ["ada", "quiet"]);
}
