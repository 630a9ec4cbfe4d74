//! HG-P…: the process.

use std::net::TcpListener;

use jiff::{SignedDuration, Timestamp};

use super::{
    auth_service::good_for_platform,
    place::{Place, Running},
};
use crate::support::{
    Server,
    client::Connection,
    eventually,
    server::{Answer, Recorded},
};

fn taken() -> (TcpListener, String) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    (taken, address)
}

#[actix_web::test]
async fn a_port_that_is_taken() {
    let (_taken, address) = taken();
    Place::new().await.assert_ends("HG-P01", &[("HOKUSAI__SERVER__BIND", &address)]).await;
}

#[actix_web::test]
async fn a_port_that_check_finds_taken() {
    let (_taken, address) = taken();
    Place::new().await.check(&[("HOKUSAI__SERVER__BIND", &address)]).await.assert_named("HG-P01");
}

#[actix_web::test]
async fn more_connections_than_files() {
    let more = [("HOKUSAI__SERVER__MAX_CONNECTIONS", "1000000000")];
    Place::new().await.check(&more).await.assert_named("HG-P02");
}

#[actix_web::test]
async fn a_process_with_few_files() {
    let few = ["-c", "ulimit -n 64 && exec \"$@\"", "sh"];
    Place::new().await.check_by("sh", &few, &[]).await.assert_named("HG-P02");
}

#[actix_web::test]
async fn a_gateway_that_is_stopping() {
    let place = Place::new().await;
    let gateway = place.serve(&[("HOKUSAI__SERVER__SETTLE_TIME", "1h")]);
    gateway.process.terminate();
    let is_told =
        async || gateway.ready().await.contains("HG-P04") && gateway.lines("INFO").contains("HG-P04");
    eventually("it is stopping", is_told).await;
}

/// A gateway that was told to read its settings again.
async fn reloaded(after: &str) -> (Place, Running) {
    let place = Place::new().await;
    place.write("gateway.toml", "");
    let gateway = place.serve_with(&["--config", "gateway.toml"], &[]);
    place.write("gateway.toml", after);
    gateway.process.hang_up();
    (place, gateway)
}

#[actix_web::test]
async fn a_reload_of_settings_that_are_wrong() {
    let (_place, gateway) = reloaded("[limits]\nper_hour = 0\n").await;
    gateway.logs("HG-P07").await;
}

#[actix_web::test]
async fn a_reload_that_needs_a_restart() {
    let (_place, gateway) = reloaded("[server]\nmax_connections = 7\n").await;
    gateway.logs("HG-P08").await;
}

#[actix_web::test]
async fn a_port_without_the_right_to_it() {
    let without = ["--bounding-set", "-net_bind_service"];
    let bind = [("HOKUSAI__SERVER__BIND", "127.0.0.1:83")];
    Place::new().await.check_by("setpriv", &without, &bind).await.assert_named("HG-P09");
}

#[actix_web::test]
async fn an_address_of_nobody() {
    // For documents (RFC 5737).
    Place::new().await.check(&[("HOKUSAI__METRICS__BIND", "192.0.2.1:9464")]).await.assert_named("HG-P10");
}

#[actix_web::test]
async fn a_drain_without_time() {
    let place = Place::new().await;
    let mut gateway = place.serve(&[("HOKUSAI__SERVER__DRAIN_GRACE", "1s")]);
    let mut upload = Connection::open(gateway.process.address).await;
    let head =
        "PUT /api/2.0/mlflow-artifacts/artifacts/0/half.txt HTTP/1.1\r\nhost: a\r\ncontent-length: 100";
    upload.send(format!("{head}\r\nauthorization: Bearer {}\r\n\r\nhalf", place.key)).await;
    // It is under way when another request on its worker, of which there is one, was answered.
    gateway.get(None).await;
    gateway.process.terminate();
    let ended = actix_web::web::block(move || (gateway.process.wait(), gateway)).await.unwrap();
    assert!(ended.0.success());
    ended.1.logs("HG-P11").await;
}

#[actix_web::test]
async fn an_auth_service_whose_clock_is_slow() {
    let an_hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let date = an_hour_ago.strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string();
    let slow = move |request: &Recorded| match good_for_platform(request) {
        Answer::Bytes(answer) => Answer::bytes(&String::from_utf8(answer).unwrap().replacen(
            "content",
            &format!("{date}content"),
            1,
        )),
        answer => answer,
    };
    let service = Server::start(slow).await;
    Place::new().await.probe(&[("HOKUSAI_AUTH_SERVICE_URL", &service.url())]).await.assert_named("HG-P12");
}
