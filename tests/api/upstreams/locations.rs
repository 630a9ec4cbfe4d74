//! Targets and the locations that MLflow answers with.

use super::{TARGET, named};
use crate::support::{GatewayBuilder, Server, ask, server::Answer};

#[actix_web::test]
async fn a_location_at_mlflow_becomes_one_below_the_public_mount() {
    let mlflow = Server::start(|request| {
        let location = request.header("x-location").unwrap_or("/").to_owned();
        Answer::bytes(&format!("HTTP/1.1 308 X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__STATIC_PREFIX", "/static")
        .start_with(&format!("{}/base", mlflow.url()))
        .await;
    let own = mlflow.url();
    for (target, location, public) in [
        ("/api/mlflow/version", format!("{own}/base/static/api/y?z=1"), "/api/mlflow/api/y?z=1"),
        ("/mlflow/version", "/base/static/y".to_owned(), "/mlflow/y"),
        ("/ajax-api/2.0/mlflow/runs/get", format!("{own}/base/static/ajax-api/y"), "/ajax-api/y"),
        (
            "/api/mlflow/version",
            "https://bucket.s3.example/key?sig=1".to_owned(),
            "https://bucket.s3.example/key?sig=1",
        ),
        ("/api/mlflow/version", "y".to_owned(), "y"),
        ("/mlflow/version", "/base/static/#/models".to_owned(), "/mlflow/#/models"),
    ] {
        let response =
            ask(gateway.address, gateway.request("GET", target, &format!("x-location: {location}\r\n")))
                .await;
        assert_eq!(
            (response.status, response.header("location")),
            (308, Some(public)),
            "{target} {location}"
        );
    }
}

#[actix_web::test]
async fn the_longest_target_is_whole_behind_mlflows_own_path() {
    let mlflow = named("mlflow").await;
    let gateway = GatewayBuilder::default().start_with(&format!("{}/base", mlflow.url())).await;
    let longest = format!("{TARGET}?{}", "x".repeat(65_530 - TARGET.len() - 1));
    assert_eq!(gateway.get(&longest).await.status, 200);
    assert_eq!(mlflow.request().target(), format!("/base{longest}"));
}

#[actix_web::test]
async fn a_location_at_the_host_that_mlflow_was_told_is_one_at_mlflow() {
    let mlflow = Server::start(|request| {
        let host = request.header("host").unwrap();
        Answer::bytes(&format!("HTTP/1.1 308 X\r\nlocation: http://{host}/y\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    for host in ["client", "mlflow.internal:5000"] {
        let gateway = GatewayBuilder::default().set("MLFLOW__HOST_HEADER", host).start(&mlflow).await;
        assert_eq!(gateway.get("/mlflow/version").await.header("location"), Some("/mlflow/y"), "{host}");
    }
}
