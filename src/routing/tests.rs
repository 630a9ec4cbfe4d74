use actix_web::test::TestRequest;

use super::{Route, RouteError, Routes};
use crate::{head, settings::RestPrefix};

fn routes(rest: RestPrefix, prefix: &str) -> Routes {
    Routes { rest, static_prefix: prefix.into() }
}

fn route(routes: &Routes, target: &str) -> Result<Route, RouteError> {
    let request = TestRequest::with_uri(target).insert_header(("host", "a"));
    routes.resolve(head::inspect(request.to_http_request().head()).unwrap())
}

fn resolve(target: &str) -> Result<String, RouteError> {
    let routes = routes(RestPrefix::Api, "");
    route(&routes, target).map(|route| route.target().to_string())
}

#[test]
fn each_public_path_has_its_path_at_mlflow() {
    for (public, upstream) in [
        ("/api/mlflow/api/2.0/mlflow/runs/get?run_id=1", "/api/2.0/mlflow/runs/get?run_id=1"),
        ("/mlflow/api/2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
        ("/mlflow/", "/"),
        ("/mlflow", "/"),
        ("/api/2.0/mlflow/runs/get?a=1&a=2", "/api/2.0/mlflow/runs/get?a=1&a=2"),
        ("/api/3.0/mlflow/traces", "/api/3.0/mlflow/traces"),
        ("/api/2.0/mlflow-artifacts/artifacts/1/a", "/api/2.0/mlflow-artifacts/artifacts/1/a"),
        ("/ajax-api/2.0/mlflow/runs/get", "/ajax-api/2.0/mlflow/runs/get"),
        ("/graphql", "/graphql"),
        ("/get-artifact?path=a", "/get-artifact?path=a"),
        ("/model-versions/get-artifact", "/model-versions/get-artifact"),
        ("/v1/traces", "/v1/traces"),
    ] {
        assert_eq!(resolve(public).as_deref(), Ok(upstream), "{public}");
    }
}

#[test]
fn what_is_under_no_mount_is_unknown() {
    for path in
        ["/", "/admin", "/API/2.0/mlflow/x", "/api/2.0/mlflowx", "/mlflowx/a", "/ml%66low/a", "/v1/tracesx"]
    {
        assert_eq!(resolve(path), Err(RouteError::Unknown), "{path}");
    }
}

#[test]
fn artifact_names_reach_mlflow_byte_for_byte() {
    for name in [
        "model%20v1%20%232%2050%25%20%2B%C3%A9.txt",
        "a%2Fb",
        "a+b",
        "100%25zz",
        "a%3Bb",
        "semi%253B",
        "a%252Fb",
    ] {
        let path = format!("/api/2.0/mlflow-artifacts/artifacts/1/{name}");
        assert_eq!(resolve(&format!("/api/mlflow{path}")), Ok(path));
    }
}

#[test]
fn ambiguous_paths_are_refused() {
    for rest in [
        "/x/../health",
        "/%2e%2e/",
        "/.%2e/",
        "/%252e%252e/",
        "/./",
        "/a/.",
        "//api/2.0/mlflow/runs/get",
        "/api//2.0/mlflow/runs/get",
        "/api%2f2.0/mlflow/runs/get",
        "/api%252f2.0/mlflow/runs/get",
        "/a%5cb",
        "/a%255cb",
        "/a%00b",
        "/a%0d%0ab",
        "/%c0%ae%c0%ae/",
        "/%zz",
        "/a%2",
        "/a;a=b",
        "/a%3Ba=b",
        "/api/2.0/mlflow-artifacts/artifacts/1/..%2f..%2fx",
        "/api/2.0/mlflow-artifacts/artifacts/1/..%252f..%252fx",
        "/api/2.0/mlflow-artifacts/artifacts/1/a%2F%2Fb",
    ] {
        let outcome = resolve(&format!("/api/mlflow{rest}"));
        assert!(matches!(outcome, Err(RouteError::BadPath(_))), "{rest}: {outcome:?}");
    }
}

#[test]
fn a_target_is_a_path_also_behind_a_host() {
    assert_eq!(resolve("http://a/api/mlflow/x").as_deref(), Ok("/x"));
    assert!(matches!(resolve("*"), Err(RouteError::BadPath(_))));
}

#[test]
fn a_query_never_changes_the_route() {
    assert_eq!(resolve("/admin?x=/api/mlflow/"), Err(RouteError::Unknown));
    assert_eq!(resolve("/api/mlflow/x?y=/../z").as_deref(), Ok("/x?y=/../z"));
}

#[test]
fn mlflows_prefixes_are_put_before_the_path_and_taken_off_again() {
    let routes = routes(RestPrefix::AjaxApi, "/static");
    let resolve = |target: &str| route(&routes, target).unwrap().target().to_string();
    assert_eq!(resolve("/api/2.0/mlflow/runs/get"), "/static/ajax-api/2.0/mlflow/runs/get");
    assert_eq!(resolve("/mlflow/"), "/static/");
    let public = |target: &str, path: &str| route(&routes, target).unwrap().public_path(path);
    assert_eq!(public("/api/mlflow/x", "/static/y"), "/api/mlflow/y");
    assert_eq!(public("/mlflow/x", "/y"), "/mlflow/y");
    assert_eq!(public("/ajax-api/x", "/static/ajax-api/y"), "/ajax-api/y");
    assert_eq!(routes.health(), "/static/health");
}
