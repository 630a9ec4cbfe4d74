//! Spans for a collector of traces.

use serde_json::{Value, json};

use crate::support::{GatewayBuilder, Server, ask, eventually, metric, server::Answer};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The spans that a collector was sent.
fn spans(collector: &Server) -> Vec<Value> {
    let requests = collector.requests();
    let bodies = requests.iter().map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    bodies
        .flat_map(|body| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone())
        .collect()
}

fn attribute(span: &Value, key: &str) -> Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    found.map_or(Value::Null, |attribute| {
        attribute["value"].as_object().unwrap().values().next().unwrap().clone()
    })
}

#[actix_web::test]
async fn each_sampled_request_is_a_span_between_the_clients_and_mlflows() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let collector = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("TELEMETRY__OTLP_ENDPOINT", &format!("{}/base", collector.url()))
        .start(&mlflow)
        .await;
    for (flags, target) in [("01", "runs/get"), ("00", "runs/get"), ("01", "secrets")] {
        let traceparent = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-{flags}\r\n");
        let target = format!("/api/2.0/mlflow/{target}?token={}", gateway.key);
        ask(gateway.address, gateway.request("GET", &target, &traceparent)).await;
    }
    eventually("the spans are there", async || spans(&collector).len() >= 2).await;
    let seen = &collector.requests()[0];
    assert_eq!((seen.target(), seen.header("content-type")), ("/base/v1/traces", Some("application/json")));
    let text = seen.text();
    assert!(text.contains(r#"{"key":"service.name","value":{"stringValue":"hokusai-gateway"}}"#), "{text}");
    assert!(!text.contains(&gateway.key));

    let spans = spans(&collector);
    assert_eq!(spans.len(), 2, "what is not sampled is not sent");
    let span = &spans[0];
    assert_eq!((&span["traceId"], &span["parentSpanId"]), (&json!(TRACE), &json!("00f067aa0ba902b7")));
    assert_eq!(span["name"], "GET read");
    // MLflow's parent is this very span.
    let passed_on = mlflow.requests()[0].header("traceparent").unwrap().to_owned();
    assert_eq!(passed_on, format!("00-{TRACE}-{}-01", span["spanId"].as_str().unwrap()));
    let nanoseconds = |name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
    assert!(nanoseconds("startTimeUnixNano") < nanoseconds("endTimeUnixNano"));
    assert_eq!(attribute(span, "http.response.status_code"), "200");
    assert_eq!(attribute(&spans[1], "http.response.status_code"), "404");
    assert_eq!(attribute(&spans[1], "error.type"), "route_unknown");
    assert_eq!(metric(&gateway, r#"trace_spans_total{outcome="ok"}"#).await, 2.0);
}

#[actix_web::test]
async fn a_collector_that_is_gone_holds_no_request_up() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway =
        GatewayBuilder::default().set("TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:1").start(&mlflow).await;
    for _ in 0..100 {
        assert_eq!(gateway.get("/api/2.0/mlflow/runs/get").await.status, 200);
    }
    eventually("they are counted", async || {
        metric(&gateway, r#"trace_spans_total{outcome="failed"}"#).await >= 1.0
    })
    .await;
}
