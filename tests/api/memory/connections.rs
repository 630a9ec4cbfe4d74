//! More connections than there is room for.

use std::time::Duration;

use super::TARGET;
use crate::support::{
    Gateway, GatewayBuilder, Server,
    client::{Connection, metric},
    eventually,
    server::Answer,
};

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
