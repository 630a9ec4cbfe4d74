//! Where a path begins, where parameters end, and where they are not read.

use actix_web::{http::Method, test::TestRequest};

use super::{resolve, route, route_of, routes};
use crate::{head, routing::RouteError, settings::RestPrefix};

#[test]
fn slashes_are_one_before_a_path_and_behind_a_mount_and_nowhere_else() {
    for path in [
        "//",
        "//evil/api/2.0/mlflow/runs/get",
        "/api//mlflow/api/2.0/mlflow/runs/get",
        "/api//2.0/mlflow/runs/get",
        "//live",
        "//api/mlflow//health/mlflow",
        "/mlflow//mlflow/api/2.0/mlflow/runs/get",
        "//api//mlflow//api/2.0/mlflow/runs/get",
    ] {
        assert_eq!(resolve(path), Err(RouteError::Unknown), "{path}");
    }
    for path in [
        "/api/2.0//mlflow/runs/get",
        "/api/2.0/mlflow//runs/get",
        "/ajax-api//2.0/mlflow/runs/get",
        "/api/mlflow/api//2.0/mlflow/runs/get",
        "//mlflow//api/2.0/mlflow/runs/get//",
        "//mlflow//../health",
        "/mlflow//%2fapi/2.0/mlflow/runs/get",
        "//api/2.0/mlflow-artifacts/artifacts//1/a",
        "/mlflow//api/2.0/mlflow-artifacts/artifacts/1//a",
        "/mlflow//api/2.0/mlflow-artifacts/artifacts/1/%2fa",
    ] {
        let outcome = resolve(path);
        assert!(matches!(outcome, Err(RouteError::BadPath(_) | RouteError::Unknown)), "{path}: {outcome:?}");
    }
    let routes = routes(RestPrefix::AjaxApi, "/static");
    let route = route(&routes, "//api/mlflow//api/2.0/mlflow/runs/get").unwrap();
    assert_eq!(
        (route.target().as_str(), route.mount()),
        ("/static/ajax-api/2.0/mlflow/runs/get", "/api/mlflow")
    );
    assert_eq!(route.path(), "/ajax-api/2.0/mlflow/runs/get");
}

#[test]
fn a_row_that_names_parameters_takes_them_from_no_body() {
    let routes = routes(RestPrefix::Api, "");
    for (target, passes) in [
        ("/get-artifact", false),
        ("/model-versions/get-artifact?name=a", false),
        ("/model-versions/get-artifact?presigned=true", false),
        ("/mlflow/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files", false),
        ("/api/2.0/mlflow/runs/get", true),
        ("/api/2.0/mlflow-artifacts/artifacts/1/a", true),
    ] {
        for framing in [("content-length", "2"), ("transfer-encoding", "chunked")] {
            let request = TestRequest::with_uri(target).insert_header(("host", "a")).insert_header(framing);
            let outcome = routes.resolve(head::inspect(request.to_http_request().head()).unwrap());
            let refusal = (!passes).then_some(RouteError::BodyOfGet);
            assert_eq!(outcome.err(), refusal, "{target} {framing:?}");
        }
    }
}

#[test]
fn a_head_of_a_listing_names_the_root_too() {
    let routes = routes(RestPrefix::Api, "");
    for (target, named) in [
        ("/api/2.0/mlflow-artifacts/artifacts", &[""][..]),
        ("/api/2.0/mlflow-artifacts/artifacts?path=1/x", &["", "1/x"]),
        ("/mlflow/ajax-api/2.0/mlflow-artifacts/artifacts?a=b&path=1", &["", "1"]),
        ("/api/2.0/mlflow-artifacts/artifacts/1/a?path=c", &["1/a"]),
        ("/get-artifact?path=a", &[]),
    ] {
        let route = route_of(&routes, Method::HEAD, target).unwrap();
        let found: Vec<_> = route.artifacts().map(|path| path.unwrap().as_str().to_owned()).collect();
        assert_eq!(found, named, "{target}");
    }
}
