//! The artifacts and the tags that a path names.

use actix_web::http::Method;

use super::{resolve, route, route_of, routes};
use crate::{routing::RouteError, settings::RestPrefix};

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
        "lr=1e-3;bs=32.ckpt",
        "%25timestamp%2517.png",
        "95%ab.png",
        "95%25ab.png",
        "Icon%0D",
        "a%09b",
        "a%00b",
        "a%5Cb",
        "a%255Cb",
        "a%3Fb",
        "%23",
        "%25",
        "100%",
        "50%%20off",
        "%zz/%4",
    ] {
        let path = format!("/api/2.0/mlflow-artifacts/artifacts/1/{name}");
        assert_eq!(resolve(&format!("/api/mlflow{path}")), Ok(path));
    }
}

#[test]
fn a_tags_key_is_what_it_is() {
    let routes = routes(RestPrefix::Api, "");
    for key in ["a;b", "a%5Cb", "a%09", "%25ab", "95%ab", "a%253Bb", "a.b", "...", "50%", "%%32%65"] {
        for path in ["/api/2.0/mlflow/logged-models/m-1/tags", "/ajax-api/3.0/mlflow/datasets/d-1/tags"] {
            let path = format!("{path}/{key}");
            let route = route_of(&routes, Method::DELETE, &path);
            assert_eq!(route.map(|route| route.target().to_string()), Ok(path));
        }
    }
    for key in ["%2e", "..", "%2e%2E", "a%2f%2e%2e%2fb", "a%2f%2fb"] {
        let path = format!("/api/2.0/mlflow/logged-models/m-1/tags/{key}");
        let outcome = route_of(&routes, Method::DELETE, &path);
        assert!(matches!(outcome, Err(RouteError::BadPath(_))), "{path}");
    }
}

#[test]
fn no_change_is_named_by_a_whole_root() {
    let routes = routes(RestPrefix::AjaxApi, "/static");
    let artifacts = "/api/2.0/mlflow-artifacts/artifacts";
    for name in
        ["%20", "%09", ";", "workspaces", "workspaces%3F", "%2577orkspaces/team-a", "workspaces%2Fteam-a/"]
    {
        for (method, route) in [
            (Method::PUT, artifacts),
            (Method::DELETE, "/ajax-api/2.0/mlflow-artifacts/artifacts"),
            (Method::DELETE, "/api/2.0/mlflow-artifacts/art%69facts"),
            (Method::POST, "/api/2.0/mlflow-artifacts/mpu/create"),
            (Method::POST, "/api/2.0/mlflow-artifacts/mpu/complete"),
            (Method::POST, "/api/2.0/mlflow-artifacts/mpu/abort"),
        ] {
            let outcome = route_of(&routes, method.clone(), &format!("{route}/{name}"));
            assert!(matches!(outcome, Err(RouteError::BadPath(_))), "{method} {route}/{name}");
        }
        assert!(route(&routes, &format!("{artifacts}/{name}")).is_ok(), "{name}");
        assert!(route(&routes, &format!("{artifacts}?path={name}")).is_ok(), "{name}");
    }
    for (query, refused) in [
        ("", true),
        ("+", true),
        ("%09&path=a", true),
        ("%2e", true),
        ("workspaces", false),
        ("e:1.ckpt", false),
    ] {
        let path = format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid=r&path={query}");
        assert_eq!(route_of(&routes, Method::POST, &path).is_err(), refused, "{query}");
    }
}

#[test]
fn a_route_tells_what_artifacts_it_names() {
    let routes = routes(RestPrefix::AjaxApi, "/static");
    for (target, named) in [
        ("/api/2.0/mlflow-artifacts/artifacts/1/a%20b?path=c", &["1/a b"][..]),
        ("/api/2.0/mlflow-artifacts/artifacts/1/a", &["1/a"]),
        ("/mlflow/ajax-api/2.0/mlflow-artifacts/presigned/%201/a", &["1/a"]),
        ("/api/2.0/mlflow-artifacts/artifacts", &[""]),
        ("/api/2.0/mlflow-artifacts/artifacts?Path=1", &[""]),
        ("/api/2.0/mlflow-artifacts/artifacts?p%61th=+1;a&path=2%252f3", &["1;a", "2/3"]),
        ("/get-artifact?path=.", &[]),
        ("/api/2.0/mlflow/runs/get?path=.", &[]),
    ] {
        let route = route(&routes, target).unwrap();
        let found: Vec<_> = route.artifacts().map(|path| path.unwrap().as_str().to_owned()).collect();
        assert_eq!(found, named, "{target}");
    }
}
