//! Spans that are added to traces.

use serde_json::json;

use super::{
    HER_RUN, HERS, MINE, MY_RUN, NEW, PROTOBUF, TRACES, WRITER, answer, changes, gateway, gzip, send, spans,
};
use crate::support::{Gateway, GatewayBuilder, Server};

#[actix_web::test]
async fn spans_are_added_to_ones_own_traces_and_to_new_ones_alone() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    for (ids, status) in
        [(&[MINE][..], 200), (&[NEW], 200), (&[MINE, NEW], 200), (&[HERS], 403), (&[MINE, NEW, HERS], 403)]
    {
        let before = changes(&mlflow).len();
        let body = spans(ids, "a");
        let response = send(&gateway, "POST", TRACES, PROTOBUF, &body).await;
        assert_eq!(response.status, status, "{ids:?}: {}", response.text());
        let sent = changes(&mlflow).split_off(before);
        let expected = if status == 200 { vec![body] } else { vec![] };
        assert_eq!(sent.into_iter().map(|request| request.body).collect::<Vec<_>>(), expected, "{ids:?}");
    }
    let refused = send(&gateway, "POST", TRACES, PROTOBUF, &spans(&[HERS], "a")).await;
    assert_eq!(refused.reason(), "not_owner");
    assert!(refused.text().contains(r#"the experiment \"e2\" belongs to grace"#), "{}", refused.text());
}

#[actix_web::test]
async fn the_experiment_and_the_run_of_spans_are_judged_too() {
    let (_mlflow, gateway) = gateway(&WRITER).await;
    let protobuf = "content-type: application/x-protobuf\r\n";
    for (fields, status) in [
        ("x-mlflow-experiment-id: 1\r\n".to_owned(), 200),
        ("x-mlflow-experiment-id: 2\r\n".to_owned(), 403),
        ("".to_owned(), 400),
        ("x-mlflow-experiment-id: 1\r\nx-mlflow-experiment-id: 2\r\n".to_owned(), 400),
        ("x-mlflow-experiment-id: 01\r\n".to_owned(), 400),
        (format!("x-mlflow-experiment-id: 1\r\nx-mlflow-run-id: {MY_RUN}\r\n"), 200),
        (format!("x-mlflow-experiment-id: 1\r\nx-mlflow-run-id: {HER_RUN}\r\n"), 403),
    ] {
        let response =
            send(&gateway, "POST", TRACES, &format!("{protobuf}{fields}"), &spans(&[NEW], "a")).await;
        assert_eq!(response.status, status, "{fields}: {}", response.text());
    }
}

#[actix_web::test]
async fn compressed_spans_are_read_and_go_on_as_they_were_read() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    let fields = format!("{PROTOBUF}content-encoding: gzip\r\n");
    let hers = send(&gateway, "POST", TRACES, &fields, &gzip(&spans(&[HERS], "a"))).await;
    assert_eq!(hers.status, 403);
    let mine = spans(&[MINE], "a");
    assert_eq!(send(&gateway, "POST", TRACES, &fields, &gzip(&mine)).await.status, 200);
    let sent = changes(&mlflow).pop().unwrap();
    assert_eq!((sent.body, sent.headers.iter().any(|(name, _)| name == "content-encoding")), (mine, false));
    for (what, body, status) in [
        ("damaged", gzip(&spans(&[MINE], "a"))[4..].to_vec(), 400),
        ("a bomb", gzip(&vec![0; 5 * 1024 * 1024]), 413),
    ] {
        let response = send(&gateway, "POST", TRACES, &fields, &body).await;
        assert_eq!(response.status, status, "{what}: {}", response.text());
    }
}

#[actix_web::test]
async fn spans_in_json_are_judged_as_those_in_protobuf() {
    let (_mlflow, gateway) = gateway(&WRITER).await;
    let fields = "content-type: application/json\r\nx-mlflow-experiment-id: 1\r\n";
    for (name, id, status) in [
        ("traceId", "0a".repeat(16), 200),
        ("traceId", "0b".repeat(16), 403),
        ("trace_id", "CwsLCwsLCwsLCwsLCwsLCw==".to_owned(), 400),
        ("traceId", "0b".repeat(17), 400),
    ] {
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{name: id}]}]}]}).to_string();
        assert_eq!(send(&gateway, "POST", TRACES, fields, body.as_bytes()).await.status, status, "{body}");
    }
}

#[actix_web::test]
async fn spans_that_cannot_be_judged_go_nowhere() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    for (fields, body, status) in [
        (PROTOBUF.to_owned(), b"no protobuf".to_vec(), 400),
        (PROTOBUF.replace("x-protobuf", "grpc"), spans(&[MINE], "a"), 400),
        (format!("{PROTOBUF}content-encoding: br\r\n"), spans(&[MINE], "a"), 400),
        (PROTOBUF.to_owned(), spans(&[MINE], "mlflow.traceTag.hokusai.user"), 403),
        (PROTOBUF.to_owned(), vec![0; 4 * 1024 * 1024 + 1], 413),
    ] {
        let response = send(&gateway, "POST", TRACES, &fields, &body).await;
        assert_eq!(response.status, status, "{fields}: {}", response.text());
    }
    assert_eq!(changes(&mlflow).len(), 0);
}

#[actix_web::test]
async fn an_administrators_spans_pass_as_they_come() {
    let (mlflow, gateway) = gateway(&["mlflow:admin"]).await;
    let fields = format!("{PROTOBUF}content-encoding: gzip\r\n");
    let body = gzip(&spans(&[HERS], "mlflow.traceTag.hokusai.user"));
    assert_eq!(send(&gateway, "POST", TRACES, &fields, &body).await.status, 200);
    assert_eq!((mlflow.requests().len(), mlflow.request().body), (1, body));
}

#[actix_web::test]
async fn a_row_of_the_operators_own_leaves_no_spans_unread() {
    let rows = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&rows, "[write]\nPOST /v1/traces body=any\n").unwrap();
    let mlflow = Server::start(answer).await;
    let gateway = GatewayBuilder::default()
        .set("POLICY__OWNERSHIP", "enforce")
        .set("MLFLOW__ROUTES_FILE", rows.path().to_str().unwrap())
        .start(&mlflow)
        .await;
    assert_eq!(send(&gateway, "POST", TRACES, PROTOBUF, &spans(&[HERS], "a")).await.status, 403);
}

#[actix_web::test]
async fn without_owners_spans_pass_as_they_come() {
    let mlflow = Server::start(answer).await;
    let gateway = Gateway::start(&mlflow).await;
    let fields = format!("{PROTOBUF}content-encoding: zstd\r\n");
    let body = vec![0; 5 * 1024 * 1024];
    assert_eq!(send(&gateway, "POST", TRACES, &fields, &body).await.status, 200);
    assert_eq!(mlflow.request().body, body);
}
