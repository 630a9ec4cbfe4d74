//! `check` on MLflow's address: never silently a default, never the gateway's own, and what is there is named.

use std::net::ToSocketAddrs as _;

use crate::support::{
    Server,
    commands::{check, doctor},
    server::Answer,
};

#[actix_web::test]
async fn an_empty_url_of_mlflow_is_a_problem_and_no_default() {
    let report = check(&[], &[("MLFLOW_SERVER_URL", "")]).await;
    assert_eq!(report.code, Some(64));
    let problem = report.problem("mlflow.url");
    assert!(
        problem.contains("is required and not set") && problem.contains("MLFLOW_SERVER_URL"),
        "{problem}"
    );
}

#[actix_web::test]
async fn the_gateways_own_address_is_refused_as_mlflows() {
    let settings =
        [("HOKUSAI__SERVER__BIND", "0.0.0.0:8001"), ("MLFLOW_SERVER_URL", "http://127.0.0.1:8001")];
    let report = check(&[], &settings).await;
    assert_eq!(report.code, Some(64));
    assert!(report.problem("mlflow.url").contains("own address"), "{}", report.printed);
}

#[actix_web::test]
async fn a_name_of_the_gateways_own_address_is_refused_as_mlflows() {
    // Not `localhost`, which is known without asking.
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let names = [hostname.trim(), "localhost.localdomain", "ip6-localhost"];
    let name = names.into_iter().find(|name| *name != "localhost" && (*name, 80).to_socket_addrs().is_ok());
    let url = format!("http://{}:8001", name.expect("this machine has another name than localhost"));
    let settings = [("HOKUSAI__SERVER__BIND", "0.0.0.0:8001"), ("MLFLOW_SERVER_URL", &*url)];
    check(&["--probe"], &settings).await.assert_failed("mlflow.dns", "own address");
}

#[actix_web::test]
async fn an_address_without_a_listener_is_named() {
    // Port 1 is below what anything takes by chance.
    let nobody = "http://127.0.0.1:1";
    let report = check(&["--probe"], &[("MLFLOW_SERVER_URL", nobody)]).await;
    assert_eq!(report.code, Some(69));
    report.assert_failed("mlflow.tcp", "nothing listens");
    report.assert_failed("mlflow.tcp", "listener");
    doctor(nobody, "a-key", &[]).await.assert_failed("tcp", "nothing listens");
}

#[actix_web::test]
async fn a_redirect_is_named_with_its_target() {
    let server = Server::start_asked(|_| {
        let location = "https://mlflow.example.com/health";
        Answer::bytes(&format!("HTTP/1.1 301 X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    let report = check(&["--probe"], &[("MLFLOW_SERVER_URL", &server.url())]).await;
    report.assert_failed("mlflow.http", "redirects (301 to https://mlflow.example.com/health)");
}
