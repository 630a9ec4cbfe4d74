//! HG-S…: settings.

use super::place::{Place, Variables};

async fn names(code: &str, variables: Variables<'_>) {
    Place::new().await.check(variables).await.assert_named(code);
}

#[actix_web::test]
async fn a_misspelt_setting() {
    names("HG-S01", &[("HOKUSAI__SERVER__WORKER", "2")]).await;
}

#[actix_web::test]
async fn a_variable_with_one_underscore() {
    names("HG-S01", &[("HOKUSAI_MLFLOW__URL", "http://127.0.0.1:5000")]).await;
}

#[actix_web::test]
async fn no_mlflow_url() {
    names("HG-S02", &[("MLFLOW_SERVER_URL", "")]).await;
}

#[actix_web::test]
async fn a_number_that_is_none() {
    names("HG-S03", &[("HOKUSAI__SERVER__WORKERS", "many")]).await;
}

#[actix_web::test]
async fn metrics_where_the_gateway_listens() {
    let same = [("HOKUSAI__SERVER__BIND", "127.0.0.1:1"), ("HOKUSAI__METRICS__BIND", "127.0.0.1:1")];
    names("HG-S04", &same).await;
}

#[actix_web::test]
async fn a_settings_file_that_is_no_toml() {
    let place = Place::new().await;
    place.write("gateway.toml", "[server\n");
    place.run(&["check", "--config", "gateway.toml"], &[]).await.assert_named("HG-S05");
}

#[actix_web::test]
async fn two_variables_for_one_setting() {
    let two =
        [("HOKUSAI__MLFLOW__URL", "http://127.0.0.1:5000"), ("MLFLOW_SERVER_URL", "http://127.0.0.1:5001")];
    names("HG-S06", &two).await;
}

#[actix_web::test]
async fn keys_over_plain_http() {
    names("HG-S07", &[("HOKUSAI_AUTH_SERVICE_URL", "http://auth.example.com")]).await;
}

#[actix_web::test]
async fn limits_that_are_off() {
    names("HG-S08", &[("HOKUSAI__LIMITS__MODE", "off")]).await;
}

#[actix_web::test]
async fn a_connection_that_outlasts_mlflows() {
    names("HG-S09", &[("HOKUSAI__MLFLOW__KEEP_ALIVE", "10s")]).await;
}

#[actix_web::test]
async fn an_auth_service_that_is_not_asked() {
    let not_asked =
        [("HOKUSAI__AUTH__MODE", "key_file"), ("HOKUSAI_AUTH_SERVICE_URL", "https://auth.example.com")];
    names("HG-S10", &not_asked).await;
}

#[actix_web::test]
async fn redis_without_a_pepper() {
    let shared =
        [("REDIS_URL", "redis://127.0.0.1:6379"), ("HOKUSAI_AUTH_SERVICE_URL", "https://auth.example.com")];
    names("HG-S11", &shared).await;
}

async fn with_routes(text: &str, code: &str) {
    let place = Place::new().await;
    place.write("more.routes", text);
    place.check(&[("HOKUSAI__MLFLOW__ROUTES_FILE", "more.routes")]).await.assert_named(code);
}

#[actix_web::test]
async fn routes_that_are_none() {
    with_routes("what is this\n", "HG-S12").await;
}

#[actix_web::test]
async fn a_webhook_that_readers_may_see() {
    with_routes("[read, workspace]\nGET /api/2.0/mlflow/webhooks\n", "HG-S13").await;
}

#[actix_web::test]
async fn a_setting_that_has_a_new_name() {
    let settings = [
        ("HOKUSAI_AUTH_SERVICE_URL", "http://127.0.0.1:1"),
        ("HOKUSAI__AUTH__SERVICE__REPORT_USAGE", "false"),
    ];
    names("HG-S14", &settings).await;
}
