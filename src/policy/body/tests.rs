use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::*;

async fn read_in(pieces: Vec<Bytes>, most: usize) -> Result<Bytes, BodyError> {
    let payload = Payload::Stream { payload: stream::iter(pieces).map(Ok).boxed_local() };
    read(payload, most, None, StallBudget::new(Duration::from_secs(60), 1)).await
}

#[actix_rt::test]
async fn a_body_is_read_whole_however_it_comes_and_no_further_than_allowed() {
    for (pieces, expected) in [
        (vec!["abcdef"], Some("abcdef")),
        (vec!["abc", "", "def"], Some("abcdef")),
        (vec!["", "abcdef", ""], Some("abcdef")),
        (vec!["abc"], Some("abc")),
        (vec![], Some("")),
        (vec!["abcdefg"], None),
        (vec!["abcdef", "g"], None),
        (vec!["a", "bcdefg"], None),
    ] {
        let read = read_in(pieces.iter().copied().map(Bytes::from).collect(), 6).await;
        assert_eq!(read.as_deref().ok(), expected.map(str::as_bytes), "{pieces:?}");
    }
}

#[actix_rt::test]
async fn a_body_in_one_piece_is_not_copied() {
    let piece = Bytes::from(vec![b'a'; 10_000]);
    let body = read_in(vec![piece.clone()], piece.len()).await.unwrap();
    assert_eq!(body.as_ptr(), piece.as_ptr());
}

fn shrunk(value: Value, length: usize) -> Value {
    let mut body =
        CheckedBody { value: Some(value), length: Some(length), ..CheckedBody::unread(whole(Bytes::new())) };
    body.shrink();
    body.value.unwrap()
}

#[test]
fn requests_of_mlflows_clients_stay_as_they_are_while_mlflow_is_asked() {
    for value in [
        json!({"run_id": "a", "key": "b", "value": "c".repeat(10_000)}),
        json!({"trace": {"trace_info": {"trace_id": "a", "tags": {"b": "c"}, "assessments": [{"name": "d"}]}}}),
        json!({"trace_ids": vec!["a"; 60]}),
    ] {
        assert_eq!(shrunk(value.clone(), 100), value);
    }
}

#[test]
fn of_very_many_values_few_are_kept_and_names_before_lists() {
    let shrunk = shrunk(json!({"metrics": vec![json!({"key": "a"}); 1000], "run_id": "r"}), 20_000);
    assert_eq!(shrunk["run_id"], "r");
    assert!(shrunk["metrics"].as_array().unwrap().len() < 300);
}
