mod artifacts;
mod borders;

use actix_web::{http::Method, test::TestRequest};

use super::{Reach, Route, RouteError, RouteTable, Routes};
use crate::{head, settings::RestPrefix, vocabulary::RouteClass};

fn routes(rest: RestPrefix, prefix: &str) -> Routes {
    Routes { rest, static_prefix: prefix.into(), table: RouteTable::open(None).unwrap() }
}

fn route(routes: &Routes, target: &str) -> Result<Route, RouteError> {
    route_of(routes, Method::GET, target)
}

fn route_of(routes: &Routes, method: Method, target: &str) -> Result<Route, RouteError> {
    let request = TestRequest::with_uri(target).method(method).insert_header(("host", "a"));
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
        ("/api/3.0/mlflow/traces/t-1", "/api/3.0/mlflow/traces/t-1"),
        ("/api/2.0/mlflow-artifacts/artifacts/1/a", "/api/2.0/mlflow-artifacts/artifacts/1/a"),
        ("/ajax-api/2.0/mlflow/runs/get", "/ajax-api/2.0/mlflow/runs/get"),
        ("/graphql", "/graphql"),
        ("/get-artifact?path=a", "/get-artifact?path=a"),
        ("/model-versions/get-artifact", "/model-versions/get-artifact"),
        ("//api/2.0/mlflow/runs/get?a=//b", "/api/2.0/mlflow/runs/get?a=//b"),
        ("///api/mlflow///api/2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
        ("/api/mlflow//api/2.0/mlflow-artifacts/artifacts/1/a", "/api/2.0/mlflow-artifacts/artifacts/1/a"),
        ("//mlflow//", "/"),
        ("/mlflow//graphql", "/graphql"),
        ("//model-versions/get-artifact", "/model-versions/get-artifact"),
        ("//get-artifact?path=a", "/get-artifact?path=a"),
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
fn ambiguous_paths_are_refused() {
    for rest in [
        "/x/../health",
        "/%2e%2e/",
        "/.%2e/",
        "/%252e%252e/",
        "/./",
        "/a/.",
        "/api//2.0/mlflow/runs/get",
        "/api%2f2.0/mlflow/runs/get",
        "/api/2.0/mlflow-artifacts/artifacts%2f1/a",
        "/api/2.0/mlflow-artifacts/artifacts%2f%25252e/workspaces/b",
        "/api/2.0/mlflow-artifacts/presigned%2f1/a",
        "/api/2.0/mlflow-artifacts/mpu%2fcreate/1/a",
        "/api/2.0/mlflow-artifacts%2fartifacts/1/a",
        "/api/3.0/mlflow/mcp-servers%2fa",
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
    assert_eq!(resolve("http://a/api/mlflow/version").as_deref(), Ok("/version"));
    assert!(matches!(resolve("*"), Err(RouteError::BadPath(_))));
}

/// The class of a GET, and how far it leads.
fn judged(target: &str) -> Result<(RouteClass, Reach), RouteError> {
    let routes = routes(RestPrefix::Api, "");
    route(&routes, target).map(|route| (route.class(), route.rule().reach))
}

#[test]
fn a_parameter_may_make_a_route_another() {
    let plain = Ok((RouteClass::ArtifactRead, Reach::Workspace));
    let direct = Ok((RouteClass::ArtifactRead, Reach::PastGateway));
    for path in
        ["/mlflow/model-versions/get-artifact?name=a&version=1", "/model-versions/get-artifact?path=a"]
    {
        for (more, expected) in [
            ("", &plain),
            ("&presigned=false", &plain),
            ("&&presigned=false&", &plain),
            ("&path=presigned%3Dtrue", &plain),
            ("&presigned=true", &direct),
            ("&presigned=True", &direct),
            ("&presigned=1", &direct),
            ("&presigned=%20false", &direct),
            ("&presigned=False", &direct),
            ("&presigned=", &direct),
            ("&presigned", &direct),
            ("&pre%73igned=tru%65", &direct),
            ("&%70%72%65%73%69%67%6e%65%64=%74%72%75%65", &direct),
            ("&presigned=false&presigned=true", &direct),
            ("&presigned=true&presigned=false", &direct),
            ("&presigned=+true", &direct),
            ("&presigned=true%00", &direct),
        ] {
            assert_eq!(&judged(&format!("{path}{more}")), expected, "{path}{more}");
        }
    }
    let of_model = "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=a";
    assert_eq!(judged(of_model), plain);
    assert_eq!(judged(&format!("{of_model}&presigned=true")), direct);
    assert_eq!(judged(&format!("/api/mlflow{of_model}&presigned=true")), direct);
}

#[test]
fn a_row_that_names_parameters_passes_no_others() {
    for (target, passes) in [
        ("/get-artifact?run_uuid=1&path=a", true),
        ("/get-artifact?run_uuid=1&path=a&presigned=true", false),
        ("/get-artifact?run_uuid=1&path=a&", true),
        ("/get-artifact?run_uuid=1&path=a&x", false),
        ("/get-artifact?Path=a", false),
        ("/get-artifact?pat%68=a", true),
        ("/get-artifact", true),
        ("/api/2.0/mlflow/runs/get?run_id=1&anything=1", true),
    ] {
        let outcome = judged(target);
        assert_eq!(outcome.is_ok(), passes, "{target}: {outcome:?}");
        assert!(passes || outcome == Err(RouteError::UnknownParameter));
    }
}

#[test]
fn a_query_never_changes_the_route() {
    assert_eq!(resolve("/admin?x=/api/mlflow/"), Err(RouteError::Unknown));
    assert_eq!(resolve("/api/mlflow/version?y=/../z").as_deref(), Ok("/version?y=/../z"));
}

#[test]
fn mlflows_prefixes_are_put_before_the_path_and_taken_off_again() {
    let routes = routes(RestPrefix::AjaxApi, "/static");
    let resolve = |target: &str| route(&routes, target).unwrap().target().to_string();
    assert_eq!(resolve("/api/2.0/mlflow/runs/get"), "/static/ajax-api/2.0/mlflow/runs/get");
    assert_eq!(resolve("/mlflow/"), "/static/");
    let public = |target: &str, path: &str| route(&routes, target).unwrap().public_path(path);
    assert_eq!(public("/api/mlflow/version", "/static/y"), "/api/mlflow/y");
    assert_eq!(public("/mlflow/version", "/y"), "/mlflow/y");
    assert_eq!(public("/ajax-api/2.0/mlflow/runs/get", "/static/ajax-api/y"), "/ajax-api/y");
}

/// The class of a method and a path at MLflow.
fn class(method: Method, path: &str) -> Option<RouteClass> {
    let routes = routes(RestPrefix::Api, "");
    route_of(&routes, method, &format!("/mlflow{path}")).ok().map(|route| route.class())
}

#[test]
fn a_class_is_told_by_method_and_path() {
    use RouteClass as Class;
    for (method, path, expected) in [
        (Method::GET, "/api/2.0/mlflow/runs/get", Class::Read),
        (Method::HEAD, "/api/2.0/mlflow/runs/get", Class::Read),
        (Method::POST, "/api/2.0/mlflow/runs/search", Class::Read),
        (Method::POST, "/ajax-api/2.0/mlflow/runs/delete", Class::Delete),
        (Method::PATCH, "/api/2.0/mlflow/model-versions/update", Class::RegistryWrite),
        (Method::POST, "/ajax-api/2.0/mlflow/registered-models/%61lias", Class::RegistryPromote),
        (Method::POST, "/api/3.0/mlflow/mcp-servers/io.example%2Fa/aliases", Class::RegistryPromote),
        (Method::GET, "/api/2.0/mlflow-artifacts/artifacts/1/a/b%2Fc", Class::ArtifactRead),
        (Method::PUT, "/api/2.0/mlflow-artifacts/artifacts/1", Class::ArtifactWrite),
        (Method::DELETE, "/ajax-api/2.0/mlflow-artifacts/artifacts/1", Class::Delete),
        (Method::POST, "/v1/traces", Class::TraceWrite),
        (Method::GET, "/api/3.0/mlflow/traces/get", Class::Read),
        (Method::DELETE, "/api/3.0/mlflow/mcp-servers/io.example%2Fa/versions/1", Class::Delete),
        (Method::POST, "/gateway/my-endpoint/mlflow/invocations", Class::GatewayInvoke),
        (Method::POST, "/gateway/proxy/my-endpoint/v1/anything", Class::GatewayInvoke),
        (Method::POST, "/gateway/gemini/v1beta/models/m:generateContent", Class::GatewayInvoke),
        (Method::GET, "/", Class::Ui),
        (Method::GET, "/static-files/static/js/main.js", Class::Ui),
        (Method::POST, "/ajax-api/3.0/mlflow/assistant/message", Class::Admin),
        (Method::GET, "/api/3.0/mlflow/workspaces", Class::Admin),
    ] {
        assert_eq!(class(method.clone(), path), Some(expected), "{method} {path}");
    }
}

#[test]
fn what_is_not_in_the_table_has_no_route() {
    for (method, path) in [
        (Method::GET, "/api/2.0/mlflow/runs/delete"),
        (Method::DELETE, "/api/2.0/mlflow/runs/get"),
        (Method::POST, "/"),
        (Method::HEAD, "/api/2.0/mlflow/runs/search"),
        (Method::GET, "/api/2.0/mlflow/runs/get/"),
        (Method::GET, "/api/2.0/mlflow/runs/Get"),
        (Method::GET, "/api/2.0/mlflow/runs"),
        (Method::GET, "/api/2.0/mlflow-artifacts/artifacts/"),
        (Method::GET, "/api/4.0/mlflow/runs/get"),
        (Method::POST, "/gateway/gemini/v1beta/models/m:deleteContent"),
        (Method::POST, "/api/3.0/mlflow/assistant/message"),
        (Method::GET, "/metrics"),
        (Method::GET, "/docs"),
        (Method::GET, "/openapi.json"),
    ] {
        assert_eq!(class(method.clone(), path), None, "{method} {path}");
    }
}
