use std::time::Duration;

use futures_util::future::join3;

use super::{mlflow::numbers, *};

fn experiments(count: usize) -> Vec<Named> {
    numbers(count).iter().map(|id| named(Kind::Experiment, id)).collect()
}

#[actix_rt::test]
async fn a_request_asks_eight_questions_at_once() {
    for subjects in [experiments(40), vec![named(Kind::Dataset, "long")]] {
        let fake = Fake::slow(Duration::from_millis(5));
        assert_eq!(ADA.judge(&fake, Ok(Some(&subjects))).await.outcome, "-");
        assert_eq!(fake.most_at_once(), 8);
    }
}

/// Each answer comes in time, and all of them do not.
#[actix_rt::test]
async fn nobody_waits_for_many_slow_answers() {
    let subjects = experiments(40);
    let report = Asking { ownership: Mode::Report, ..ADA };
    let fenced = Asking { fence: r#"{"experiments": ["*"]}"#, ..report.clone() };
    let ask = async |asking: &Asking| {
        let judgement = asking.judge(&Fake::slow(Duration::from_secs(4)), Ok(Some(&subjects))).await;
        (judgement.outcome, judgement.reported.0)
    };
    let (enforced, reported, fenced) = join3(ask(&ADA), ask(&report), ask(&fenced)).await;
    assert_eq!(
        [enforced, reported, fenced],
        [("unanswered", None), ("-", Some("unanswered")), ("unanswered", None)]
    );
}
