use actix_web::{http::Method, test::TestRequest};

use super::Methods;
use crate::{
    head,
    routing::{Route, RouteError, Routes},
    settings::Settings,
    vocabulary::RouteClass,
};

fn routes() -> Routes {
    let mlflow = ("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned());
    Routes::open(&Settings::load(None, [mlflow]).unwrap().mlflow).unwrap()
}

fn route_of(routes: &Routes, method: Method, target: &str) -> Result<Route, RouteError> {
    let request = TestRequest::with_uri(target).method(method).insert_header(("host", "a"));
    routes.resolve(head::inspect(request.to_http_request().head()).unwrap())
}

/// The class of a method and a path at MLflow.
fn class(method: Method, path: &str) -> Option<RouteClass> {
    route_of(&routes(), method, &format!("/mlflow{path}")).ok().map(|route| route.class())
}

#[test]
fn a_path_that_has_other_methods_tells_them() {
    let routes = routes();
    let outcome = |method: Method, path: &str| match route_of(&routes, method, path) {
        Ok(_) => "a route".to_owned(),
        Err(RouteError::Method(methods)) => methods.to_string(),
        Err(error) => error.to_string(),
    };
    for (method, path, expected) in [
        (Method::DELETE, "/api/2.0/mlflow/runs/get", "GET, HEAD"),
        (Method::GET, "/api/2.0/mlflow/runs/delete", "POST"),
        (Method::PUT, "/mlflow/api/2.0/mlflow/experiments/search?a=b", "GET, HEAD, POST"),
        (Method::GET, "/api/2.0/mlflow/traces/t-1/tags", "PATCH, DELETE"),
        (Method::POST, "/ajax-api/2.0/mlflow-artifacts/artifacts/1/a%2Fb", "GET, HEAD, PUT, DELETE"),
        (Method::POST, "/mlflow/", "GET, HEAD"),
        // A row without the method does not hide another that has it.
        (Method::GET, "/api/3.0/mlflow/skills/bulk-register", "a route"),
        (Method::DELETE, "/api/2.0/mlflow/logged-models/search", "a route"),
        (Method::PUT, "/api/2.0/mlflow/logged-models/search", "GET, HEAD, POST, PATCH, DELETE"),
    ] {
        assert_eq!(outcome(method.clone(), path), expected, "{method} {path}");
    }
    for path in ["/api/2.0/mlflow/nothing", "/mlflow/metrics", "/api/2.0/mlflow-artifacts/artifacts/"] {
        assert_eq!(route_of(&routes, Method::POST, path).unwrap_err(), RouteError::Unknown, "{path}");
    }
    let methods =
        |path: &str| routes.methods(&path.parse().unwrap()).map(|methods: Methods| methods.to_string());
    assert_eq!(methods("/mlflow/api/2.0/mlflow/runs/get").as_deref(), Some("GET, HEAD"));
    for path in ["/nothing", "*", "/mlflow/a/../b", "/mlflow/nothing"] {
        assert_eq!(methods(path), None, "{path}");
    }
}

#[test]
fn skills_are_known_by_all_their_names() {
    use RouteClass as Class;
    for (method, path, expected) in [
        (Method::POST, "/api/3.0/mlflow/skills/reviewer/versions", Class::RegistryWrite),
        (Method::POST, "/api/3.0/mlflow/skills/%40acme/reviewer/versions", Class::RegistryWrite),
        (Method::GET, "/api/3.0/mlflow/skills/@acme/versions", Class::Read),
        (Method::DELETE, "/api/3.0/mlflow/skills/@acme/reviewer/versions/1", Class::Delete),
        (Method::DELETE, "/api/3.0/mlflow/skills/reviewer/tags/team%2Fowner%3Bx", Class::RegistryWrite),
        (
            Method::DELETE,
            "/ajax-api/3.0/mlflow/skills/@acme/reviewer/versions/1/tags/a%2Fb%5C",
            Class::RegistryWrite,
        ),
        (Method::GET, "/api/2.0/mlflow/traces/tr-1", Class::Read),
        (Method::POST, "/api/2.0/mlflow/traces/tr-1/assessments", Class::TraceWrite),
        (Method::DELETE, "/ajax-api/2.0/mlflow/traces/tr-1/assessments/a-1", Class::Delete),
    ] {
        assert_eq!(class(method.clone(), path), Some(expected), "{method} {path}");
    }
    for path in ["reviewer%2Fversions%2F1", "a%2Fb", "reviewer/tags/%2e%2e", "reviewer;a/versions/1"] {
        assert_eq!(class(Method::DELETE, &format!("/api/3.0/mlflow/skills/{path}")), None, "{path}");
    }
}
