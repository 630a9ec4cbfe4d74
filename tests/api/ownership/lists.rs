//! Requests that name many things.

use serde_json::{Value, json};

use super::stage::{Stage, late, send};
use crate::support::{Gateway, Response};

async fn outputs(gateway: &Gateway, models: &[String]) -> Response {
    let models: Vec<Value> = models.iter().map(|id| json!({"model_id": id, "step": 0})).collect();
    send(gateway, "ada", "POST 2.0/mlflow/runs/outputs", &json!({"run_id": "a", "models": models})).await
}

async fn stage() -> (Stage, Gateway) {
    let stage = Stage::set().await;
    (0..200).for_each(|number| stage.put(&format!("m-{number}"), "1"));
    stage.put("m-bobs", "2");
    let gateway = stage.gateway(&[]).await;
    (stage, gateway)
}

fn models(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m-{number}")).collect()
}

#[actix_web::test]
async fn one_foreign_thing_in_a_list_refuses_all_of_it_and_so_does_one_that_is_missing() {
    let (stage, gateway) = stage().await;
    for (odd, status, reason) in [("m-bobs", 403, "not_owner"), ("m-gone", 400, "bad_request")] {
        let mut list = models(20);
        list.push(odd.to_owned());
        let refused = outputs(&gateway, &list).await;
        assert_eq!((refused.status, refused.reason().as_str()), (status, reason), "{odd}");
    }
    assert!(stage.reached("POST ", "").is_empty());
    assert_eq!(outputs(&gateway, &models(20)).await.status, 200);
}

#[actix_web::test]
async fn a_list_is_asked_for_a_few_at_once() {
    let (stage, gateway) = stage().await;
    stage.answer(|request| {
        let id = request.target().strip_prefix("/api/2.0/mlflow/logged-models/")?.split('?').next()?;
        Some(late(&format!(r#"{{"model": {{"info": {{"model_id": "{id}", "experiment_id": "1"}}}}}}"#)))
    });
    assert_eq!(outputs(&gateway, &models(40)).await.status, 200);
    let asked = stage.reached("GET ", "/logged-models/");
    let mut connections: Vec<usize> = asked.iter().map(|question| question.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    assert_eq!(asked.len(), 40);
    assert!((2..=9).contains(&connections.len()), "{connections:?}");
    assert_eq!(stage.asked("/experiments/get"), 1);
}

#[actix_web::test]
async fn a_thousand_things_are_too_many_and_nobody_is_asked() {
    let (stage, gateway) = stage().await;
    let refused = outputs(&gateway, &models(1_000)).await;
    assert_eq!((refused.status, refused.reason().as_str()), (400, "bad_request"));
    assert!(refused.text().contains("more than 512 things"), "{}", refused.text());
    assert!(stage.mlflow.requests().is_empty());
}
