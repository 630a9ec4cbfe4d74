//! The table of routes from outside: methods that a path has not, bodies that are forms, rows of the operator's own.

use std::fs;

use serde_json::Value;

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, client::Connection, gateway::create_key, process::command,
    server::Answer,
};

#[actix_web::test]
async fn a_known_path_with_another_method_tells_those_that_it_has() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for (method, target, allow) in [
        ("DELETE", "/api/2.0/mlflow/runs/get", "GET, HEAD"),
        ("GET", "/api/mlflow/api/2.0/mlflow/runs/delete", "POST"),
        ("PUT", "/mlflow/ajax-api/2.0/mlflow/traces/t-1/tags?a", "PATCH, DELETE"),
        ("TRACE", "/api/mlflow/version", "GET, HEAD"),
        ("OPTIONS", "/api/2.0/mlflow/runs/create", "POST"),
        ("PROPFIND", "/api/2.0/mlflow-artifacts/artifacts/1/a", "GET, HEAD, PUT, DELETE"),
        ("OPTIONS", "/nowhere", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("OPTIONS", "*", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("POST", "/live", "GET, HEAD"),
        ("DELETE", "/health/mlflow", "GET, HEAD"),
    ] {
        // What there is is no secret: it is answered before a key is looked at.
        for request in
            [gateway.request(method, target, ""), format!("{method} {target} HTTP/1.1\r\nhost: a\r\n\r\n")]
        {
            let response = ask(gateway.address, request).await;
            assert_eq!((response.status, response.header("allow")), (405, Some(allow)), "{method} {target}");
            assert_eq!(response.json()["error_code"], "BAD_REQUEST");
            assert_eq!(response.reason(), "method_not_allowed");
        }
    }
    for target in ["/nowhere", "/api/2.0/mlflow/runs", "/api/mlflow/metrics"] {
        let response = ask(gateway.address, gateway.request("DELETE", target, "")).await;
        assert_eq!((response.status, response.header("allow")), (404, None), "{target}");
    }
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn a_connection_outlives_a_method_that_mlflow_uses_and_no_other() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let behind = gateway.request("GET", "/api/2.0/mlflow/runs/get", "");
    for (method, rest, goes_on) in [
        ("DELETE", "", true),
        ("POST", "content-length: 2\r\n\r\n{}", false),
        ("TRACE", "", false),
        ("OPTIONS", "", false),
    ] {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(gateway.request(method, "/api/2.0/mlflow/runs/get", rest)).await;
        assert_eq!(connection.response(false).await.status, 405, "{method}");
        if goes_on {
            connection.send(&behind).await;
            assert_eq!(connection.response(false).await.status, 200, "{method}");
        } else {
            assert!(connection.is_closed().await, "{method}");
        }
    }
    assert_eq!(mlflow.requests().len(), 1);
}

#[actix_web::test]
async fn the_listener_of_the_metrics_tells_its_methods_to_those_who_may_read_them() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let own = gateway.metrics_address.unwrap();
    let head = ask(own, "HEAD /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!((head.status, head.text()), (200, ""));
    let post = ask(own, "POST /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    let proxied = ask(own, "POST /metrics HTTP/1.1\r\nhost: a\r\nvia: 1.1 a\r\n\r\n").await;
    assert_eq!((proxied.status, proxied.reason().as_str()), (404, "route_unknown"));
}

const VERSIONS: &str = "/api/3.0/mlflow/skills/@acme/reviewer/versions";
const TWICE: &str = r#"{"source": "https://a", "source": "https://b"}"#;

#[actix_web::test]
async fn a_skills_files_pass_as_they_come_and_what_is_no_form_is_read() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().scopes(&["mlflow:registry_write"]).start(&mlflow).await;
    let form = "multipart/form-data; boundary=x";
    let big = "f".repeat(2 * 1024 * 1024);
    for (types, body, status) in [
        (&[form][..], &*big, 200),
        (&["Multipart/Form-Data;boundary=x"], TWICE, 200),
        (&["application/json"], r#"{"source": "https://a"}"#, 200),
        (&["application/json"], TWICE, 400),
        (&["application/json"], &big, 413),
        (&["application/json", form], TWICE, 400),
        (&[form, "application/json"], TWICE, 400),
        (&["multipart/form-data, application/json"], TWICE, 400),
        (&["multipart/form-datas"], TWICE, 400),
        (&[], TWICE, 400),
    ] {
        let before = mlflow.requests().len();
        let types: String = types.iter().map(|kind| format!("content-type: {kind}\r\n")).collect();
        let rest = format!("{types}content-length: {}\r\n\r\n{body}", body.len());
        let response = ask(gateway.address, gateway.request("POST", VERSIONS, &rest)).await;
        assert_eq!(response.status, status, "{types} {body:.40}");
        assert_eq!(mlflow.requests().len() - before, usize::from(status == 200), "{types}");
        if status == 200 {
            assert_eq!(mlflow.requests().pop().unwrap().text(), body);
        }
    }
    let writer = GatewayBuilder::default().scopes(&["mlflow:artifact_write"]).start(&mlflow).await;
    let rest = format!("content-type: {form}\r\ncontent-length: 2\r\n\r\n{{}}");
    assert_eq!(ask(writer.address, writer.request("POST", VERSIONS, &rest)).await.reason(), "scope_missing");
}

#[actix_web::test]
async fn a_body_that_is_encoded_twice_is_read_as_mlflow_reads_it() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().scopes(&["mlflow:write"]).start(&mlflow).await;
    let set_tag = "/api/2.0/mlflow/model-versions/set-tag";
    for (body, status) in [
        (r#""{\"key\": \"a\", \"value\": \"b\"}""#, 200),
        (r#""{\"key\": \"mlflow.prompt.text\", \"value\": \"b\"}""#, 403),
        (r#""{\"key\": \"a\", \"key\": \"b\"}""#, 400),
        (r#""\"{}\"""#, 400),
        (r#""a""#, 400),
    ] {
        let rest = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let response = ask(gateway.address, gateway.request("POST", set_tag, &rest)).await;
        assert_eq!(response.status, status, "{body}: {}", response.text());
    }
    assert_eq!(mlflow.requests().len(), 1);
}

#[test]
fn a_row_that_asks_less_than_the_gateways_own_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("more.routes");
    create_key(&folder.path().join("keys.toml"), "ada", None);
    for (row, told) in [
        ("[admin]\nGET /api/2.0/mlflow/runs/get", None),
        ("[read]\nGET /my-plugin/{page}", None),
        ("[trace_write]\nPATCH /api/3.0/mlflow/traces/{id}/tags", None),
        (
            "[trace_write]\nPATCH /api/3.0/mlflow/traces/{id}/tags tags=none body=any",
            Some("body=json, sets=trace"),
        ),
        ("[read]\nPOST /ajax-api/2.0/mlflow/gateway-proxy", Some("the class gateway_invoke for read")),
        (
            "[registry_write]\nPOST /api/2.0/mlflow/registered-models/alias",
            Some("the class registry_promote for registry_write"),
        ),
        ("[write]\nPOST /api/2.0/mlflow/registered-models/alias", None),
        ("[admin, workspace]\nGET /api/2.0/mlflow/webhooks", Some("`every workspace`")),
        ("[write]\nPOST /api/2.0/mlflow/runs/log-model free", Some("the subject run body.run_id")),
        ("[write]\nPOST /api/2.0/mlflow/runs/log-model experiment body.id, run body.run_id", None),
        ("[write]\nPOST /api/2.0/mlflow/runs/create stamps=user", Some("stamps=run")),
        ("[artifact_read]\nGET /get-artifact ?*", Some("?run_id ?run_uuid ?path")),
        (
            "[artifact_write]\nPUT /api/2.0/mlflow-artifacts/artifacts/a/{*b} artifact=none",
            Some("artifact={*}"),
        ),
    ] {
        fs::write(&file, row).unwrap();
        let output = command(folder.path())
            .args(["check", "--format", "json"])
            .env("MLFLOW_SERVER_URL", "http://127.0.0.1:5000")
            .env("HOKUSAI__MLFLOW__ROUTES_FILE", &file)
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let warnings = said["warnings"].as_array().unwrap().iter();
        let of_routes: Vec<_> = warnings.filter(|warning| warning["key"] == "mlflow.routes_file").collect();
        match told {
            None => assert!(of_routes.is_empty(), "{row}: {of_routes:?}"),
            Some(told) => {
                assert!(!of_routes.is_empty(), "{row}: {said}");
                for warning in of_routes {
                    assert!(
                        warning["what"].as_str().unwrap().ends_with(&format!("it gives up {told}")),
                        "{warning}"
                    );
                    assert!(warning["found"].as_str().unwrap().starts_with("line 2: "), "{warning}");
                }
            }
        }
    }
}

#[test]
fn every_column_of_the_table_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).args(["routes", "--format", "json"]).output().unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let row = |method: &str, path: &str| {
        rows.iter()
            .find(|row| row["method"] == method && row["path"] == path)
            .unwrap_or_else(|| panic!("{path}"))
    };
    for (method, path, column, expected) in [
        ("POST", "/graphql", "body", "graphql"),
        ("POST", "/v1/traces", "body", "spans"),
        ("POST", "/api/3.0/mlflow/skills/{name}/versions", "body", "form"),
        ("POST", "/api/2.0/mlflow/runs/delete", "body", "json"),
        ("POST", "/api/2.0/mlflow/runs/create", "body", "any"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts", "artifact", "?path"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{*artifact_path}", "artifact", "{*}"),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact", "artifact", "run?path"),
        ("PATCH", "/api/3.0/mlflow/traces/{trace_id}/tags", "tags", "sets=trace"),
        ("GET", "/api/2.0/mlflow/webhooks", "reach", "every workspace"),
        ("GET", "/model-versions/get-artifact", "row", "?name ?version ?path ?presigned=false:direct"),
        ("GET", "/ajax-api/3.0/mlflow/gateway/secrets/config", "class", "ui"),
    ] {
        assert_eq!(row(method, path)[column], expected, "{method} {path}");
    }
    assert_eq!(row("DELETE", "/api/3.0/mlflow/mcp-servers/{*rest}")["name_is_data"], true);
}

#[actix_web::test]
async fn whether_the_ai_gateway_is_there_is_told_to_all_and_how_it_is_sealed_to_administrators() {
    const CONFIG: &str = "/ajax-api/3.0/mlflow/gateway/secrets/config";
    let told = r#"{"secrets_available":true,"using_default_passphrase":true}"#;
    let mlflow = Server::start(move |_| Answer::ok(told)).await;
    for (scopes, mode, expected) in [
        (&["mlflow:read"][..], "enforce", r#"{"secrets_available":true}"#),
        (&["mlflow:ui"], "enforce", r#"{"secrets_available":true}"#),
        (&["mlflow:read", "mlflow:admin"], "enforce", told),
        (&["mlflow:read"], "report", told),
    ] {
        let gateway = GatewayBuilder::default().scopes(scopes).set("POLICY__MODE", mode).start(&mlflow).await;
        let response =
            ask(gateway.address, gateway.request("GET", CONFIG, "accept-encoding: gzip\r\n")).await;
        assert_eq!((response.status, response.text()), (200, expected), "{scopes:?} {mode}");
        let is_asked_plainly = mlflow.requests().pop().unwrap().header("accept-encoding").is_none();
        assert_eq!(is_asked_plainly, expected != told);
    }
    let gateway = GatewayBuilder::default().scopes(&["mlflow:write"]).start(&mlflow).await;
    assert_eq!(gateway.get(CONFIG).await.reason(), "scope_missing");
}
