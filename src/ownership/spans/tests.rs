use actix_web::web::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use serde_json::{Value, json};

use super::*;

const ID: [u8; 16] = [0xa1; 16];
const OTHER: [u8; 16] = [0x0b; 16];

fn attribute(key: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), ..KeyValue::default() }
}

fn span(trace_id: &[u8], attributes: &[&str]) -> Span {
    let attributes = attributes.iter().map(|key| attribute(key)).collect();
    Span { trace_id: trace_id.to_vec(), name: "a".to_owned(), attributes, ..Span::default() }
}

fn request(spans: Vec<Span>, of_resource: &[&str]) -> Vec<u8> {
    let attributes = of_resource.iter().map(|key| attribute(key)).collect();
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn of(body: impl Into<Bytes>) -> Result<Spans, Unreadable> {
    Spans::read(&SpansBody::Protobuf(body.into()))
}

fn of_json(body: Value) -> Result<Spans, Unreadable> {
    Spans::read(&SpansBody::Json(body))
}

fn ids(spans: &Spans) -> Vec<String> {
    spans.traces().map(|named| named.id).collect()
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

#[test]
fn the_traces_of_all_spans_are_named_once() {
    let spans = of(request(vec![span(&OTHER, &[]), span(&ID, &[]), span(&OTHER, &[])], &[])).unwrap();
    assert_eq!(ids(&spans), [format!("tr-{}", "0b".repeat(16)), format!("tr-{}", "a1".repeat(16))]);
    let in_json = |id: u8| json!({"traceId": hex::encode([id; 16])});
    let in_json = json!({"resourceSpans": [
        {"scopeSpans": [{"spans": [in_json(1), in_json(2)]}, {"spans": [in_json(3)]}]},
        {"scopeSpans": [{"spans": [in_json(4)]}]},
    ]});
    assert_eq!(
        ids(&of_json(in_json).unwrap()),
        [1, 2, 3, 4].map(|id| format!("tr-{}", hex::encode([id; 16])))
    );
    assert_eq!(ids(&of(request(vec![], &[])).unwrap()), [""; 0]);
    assert_eq!(ids(&of(vec![]).unwrap()), [""; 0]);
}

#[test]
fn the_gateways_names_are_found_in_what_becomes_a_tag() {
    for (of_span, of_resource, expected) in [
        ("mlflow.traceTag.hokusai.user", "a", Reserved::Own),
        ("mlflow.traceTag.HOKUSAI.user", "a", Reserved::Own),
        ("a", "hokusai.user", Reserved::Own),
        ("a", "hokus\u{e4}i.user", Reserved::Own),
        ("hokusai.user", "mlflow.traceTag.hokusai.user", Reserved::None),
        ("mlflow.traceTag.mlflow.trace.archiveLocation", "hokusai.user", Reserved::Archive),
        ("a", "MLflow.trace.archiveLocation", Reserved::Archive),
        ("mlflow.trace.archiveLocation", "a", Reserved::None),
        ("mlflow.traceTag.user", "user", Reserved::None),
    ] {
        let spans = of(request(vec![span(&ID, &["b", of_span])], &["b", of_resource])).unwrap();
        assert_eq!(spans.reserved, expected, "{of_span} {of_resource}");
        let attributes = |key: &str| json!([{"key": "b"}, {"key": key, "value": {"stringValue": "x"}}]);
        let spans = of_json(json!({"resourceSpans": [{
            "resource": {"attributes": attributes(of_resource)},
            "scopeSpans": [{"spans": [{"traceId": "a1".repeat(16), "attributes": attributes(of_span)}]}],
        }]}));
        assert_eq!(spans.unwrap().reserved, expected, "{of_span} {of_resource}");
    }
}

#[test]
fn an_id_that_is_not_sixteen_bytes_could_be_another_as_a_number() {
    for id in [&[][..], &[1; 15], &[1; 17], &[&[0], &ID[..]].concat()] {
        assert!(of(request(vec![span(&ID, &[]), span(id, &[])], &[])).is_err(), "{id:?}");
    }
}

#[test]
fn parts_of_a_message_that_stand_apart_are_all_read() {
    let span = |id: &[u8]| field(1, &field(2, &field(2, &field(1, id))));
    assert_eq!(ids(&of([span(&ID), span(&OTHER)].concat()).unwrap()).len(), 2);
    let twice = field(1, &field(2, &field(2, &[field(1, &OTHER), field(1, &ID)].concat())));
    assert_eq!(ids(&of(twice).unwrap()), [format!("tr-{}", "a1".repeat(16))], "the last counts");
    let resource = |key: &str| field(1, &field(1, &field(1, key.as_bytes())));
    for parts in [["a", "hokusai.a"], ["hokusai.a", "a"]] {
        let resources = field(1, &parts.map(resource).concat());
        assert_eq!(of(resources).unwrap().reserved, Reserved::Own, "{parts:?}");
    }
}

#[test]
fn protobuf_that_can_be_read_in_two_ways_is_refused() {
    let good = request(vec![span(&ID, &["a"])], &["a"]);
    for end in 1..good.len() {
        assert!(of(good[..end].to_vec()).is_err(), "{end} bytes of it");
    }
    for (what, body) in [
        ("a number in place of spans", vec![0x08, 1]),
        (
            "a number in place of an id",
            field(1, &field(2, &field(2, &[field(1, &ID), vec![0x08, 1]].concat()))),
        ),
        ("a group", vec![0x0b, 0x0c]),
        ("an unknown group", vec![0x7b, 0x7c]),
        ("field 0", vec![0x02, 0]),
        ("a length beyond the end", vec![0x0a, 5, 0]),
        ("a varint without an end", vec![0x80; 11]),
        ("a varint of 65 bits", [vec![0x78], vec![0xff; 9], vec![2]].concat()),
        ("a field's number of 33 bits", vec![0x8a, 0x80, 0x80, 0x80, 0x10, 0]),
        ("a key that is no text", field(1, &field(1, &field(1, &field(1, &[0xff]))))),
    ] {
        assert!(of(body).is_err(), "{what}");
    }
    for (what, unknown) in [
        ("a number", vec![0x78, 0xff, 1]),
        ("eight bytes", [&[0x79][..], &[0; 8]].concat()),
        ("four bytes", vec![0x7d, 0, 0, 0, 0]),
        ("bytes", field(15, b"abc")),
    ] {
        assert_eq!(ids(&of([unknown, good.clone()].concat()).unwrap()).len(), 1, "before it {what}");
    }
}

#[test]
fn spans_of_very_many_traces_are_refused() {
    let of_traces = |count: u32| {
        let id = |number: u32| [[0; 12].as_slice(), &number.to_be_bytes()].concat();
        of(request((0..count).map(|number| span(&id(number), &[])).collect(), &[]))
    };
    assert_eq!(of_traces(1024).unwrap().traces().count(), 1024);
    assert!(of_traces(1025).is_err());
}

#[test]
fn ids_in_json_are_hex() {
    let with_id = |id: Value| json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": id}]}]}]});
    for id in ["a1".repeat(16), "A1".repeat(16)] {
        assert_eq!(ids(&of_json(with_id(id.into())).unwrap()), [format!("tr-{}", "a1".repeat(16))]);
    }
    let base64 = "oaGhoaGhoaGhoaGhoaGhoQ==";
    for id in [
        json!(null),
        json!(""),
        json!("a1"),
        json!(" ".repeat(32)),
        json!(" ".to_owned() + &"a1".repeat(16)),
        json!(base64),
        json!(7),
    ] {
        assert!(of_json(with_id(id.clone())).is_err(), "{id}");
    }
}

#[test]
fn json_in_protobufs_other_spelling_is_refused() {
    let id = "a1".repeat(16);
    for body in [
        json!({"resource_spans": []}),
        json!({"resourceSpans": [{"scope_spans": []}]}),
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"trace_id": id}]}]}]}),
        json!({"resourceSpans": [{"resource": {"attributes": [{"key": 7}]}}]}),
        json!({"resourceSpans": {}}),
        json!({"resourceSpans": ["a"]}),
        json!([]),
    ] {
        assert!(of_json(body.clone()).is_err(), "{body}");
    }
    let body = json!({"resourceSpans": [{"resource": null, "schema_url": "a", "scopeSpans": [{"spans": null}]}], "a_b": 1});
    assert_eq!(ids(&of_json(body).unwrap()), [""; 0]);
}

/// What is read is what protobuf's own reader reads: in bytes that are nearly spans.
#[test]
fn damaged_spans_are_refused_or_read_as_protobuf_reads_them() {
    let good = request(vec![span(&ID, &["mlflow.traceTag.a"]), span(&OTHER, &["b"])], &["service.name"]);
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let mut both = 0;
    for _ in 0..20_000 {
        let mut body = good.clone();
        for _ in 0..=random(3) {
            let at = random(body.len());
            match random(3) {
                0 => body[at] = u8::try_from(random(256)).unwrap(),
                1 => drop(body.remove(at)),
                _ => body.insert(at, u8::try_from(random(256)).unwrap()),
            }
        }
        let (Ok(spans), Ok(request)) = (of(body.clone()), ExportTraceServiceRequest::decode(body.as_slice()))
        else {
            continue;
        };
        both += 1;
        let all = request.resource_spans.iter().flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans);
        let mut expected: Vec<_> = all.map(|span| format!("tr-{}", hex::encode(&span.trace_id))).collect();
        expected.sort();
        expected.dedup();
        assert_eq!(ids(&spans), expected, "{}", hex::encode(&body));
    }
    assert!(both > 1000, "{both}");
}
