//! How much of an answer of MLflow's is read.

use super::stage::{Stage, is_unknown, log};
use crate::support::server::Answer;

const RUN: &str = r#""run": {"info": {"run_id": "a", "experiment_id": "1"}}"#;
const EXPERIMENT: &str =
    r#""experiment": {"experiment_id": "1", "tags": [{"key": "hokusai.owner", "value": "ada"}]}"#;

/// As many bytes as a field.
fn filling(bytes: usize) -> String {
    format!(r#""x": "{}""#, "x".repeat(bytes))
}

/// Whether ada may change her run when this is what MLflow says to a question, or whether it says nothing then.
async fn passes(question: &'static str, fields: [String; 2]) -> bool {
    let stage = Stage::set().await;
    let answer = format!("{{{}}}", fields.join(", "));
    stage.answer(move |request| request.target().contains(question).then(|| Answer::ok(&answer)));
    let response = log(&stage.gateway(&[]).await, "ada", "a").await;
    assert!(response.status == 200 || is_unknown(&response), "{response:?}");
    response.status == 200
}

#[actix_web::test]
async fn where_a_run_belongs_is_read_in_the_first_256_kib() {
    for (before, expected) in [(200_000, true), (300_000, false)] {
        assert_eq!(passes("/runs/get", [filling(before), RUN.to_owned()]).await, expected, "{before}");
    }
    assert!(
        passes("/runs/get", [RUN.to_owned(), filling(5_000_000)]).await,
        "what comes behind it is not read"
    );
}

#[actix_web::test]
async fn whose_an_experiment_is_is_read_in_an_answer_of_4_mib() {
    for (before, expected) in [(4_000_000, true), (4_300_000, false)] {
        let fields = [filling(before), EXPERIMENT.to_owned()];
        assert_eq!(passes("/experiments/get", fields).await, expected, "{before}");
    }
    assert!(
        !passes("/experiments/get", [EXPERIMENT.to_owned(), filling(4_300_000)]).await,
        "tags may come behind"
    );
}
