use std::{cell::RefCell, rc::Rc, time::Duration};

use actix_rt::{task::yield_now, time::sleep};

use super::*;
use crate::ownership::memory::FRESH;

const FOUND: &str = r#"{"experiment": {"experiment_id": "7", "name": "a", "tags": [{"key": "hokusai.owner", "value": "ada"}]}}"#;
const MISSING: &str = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST"}"#;
const OWN_FAILURE: &str = r#"{"error_code": "INTERNAL_ERROR"}"#;

#[derive(Clone)]
enum Reply {
    Answer(u16, &'static str),
    After(Duration, u16, &'static str),
    Fault(Unanswered),
}

/// An MLflow that answers everything alike, and counts.
#[derive(Clone)]
struct Fake(Rc<RefCell<(Reply, usize)>>);

impl Fake {
    fn new(reply: Reply) -> Self {
        Self(Rc::new(RefCell::new((reply, 0))))
    }

    fn now(&self, reply: Reply) {
        self.0.borrow_mut().0 = reply;
    }

    fn asked(&self) -> usize {
        self.0.borrow().1
    }
}

impl AskMlflow for Fake {
    async fn get(&self, _: String, _: Option<Arc<str>>, _: usize) -> Result<(StatusCode, Bytes), Unanswered> {
        self.0.borrow_mut().1 += 1;
        let reply = self.0.borrow().0.clone();
        match reply {
            Reply::Answer(status, body) => answer(status, body),
            Reply::After(pause, status, body) => {
                sleep(pause).await;
                answer(status, body)
            }
            Reply::Fault(fault) => Err(fault),
        }
    }
}

fn answer(status: u16, body: &'static str) -> Result<(StatusCode, Bytes), Unanswered> {
    Ok((StatusCode::from_u16(status).unwrap(), Bytes::from_static(body.as_bytes())))
}

fn lookups() -> Arc<Lookups> {
    Arc::new(Lookups::new(Metrics::new().unwrap()))
}

fn experiment() -> Of<Container> {
    (None, Container::Experiment("7".to_owned()))
}

async fn ask(lookups: &Lookups, fake: &Fake) -> Outcome<Thing> {
    lookups.thing(fake, &experiment()).await
}

fn owner(outcome: &Outcome<Thing>) -> Option<&str> {
    match outcome {
        Ok(Found::It(thing)) => thing.owner.as_deref(),
        other => panic!("{other:?}"),
    }
}

fn counted(lookups: &Lookups, result: &str) -> bool {
    let metrics = lookups.metrics.encode().unwrap();
    metrics.contains(&format!("hokusai_gateway_ownership_lookups_total{{result=\"{result}\"}} 1\n"))
}

#[actix_rt::test]
async fn an_answer_is_remembered_and_that_there_is_nothing_is_not() {
    let (lookups, fake) = (lookups(), Fake::new(Reply::Answer(404, MISSING)));
    for asked in [1, 2] {
        assert!(matches!(ask(&lookups, &fake).await, Ok(Found::Nothing)));
        assert_eq!(fake.asked(), asked);
    }
    fake.now(Reply::Answer(200, FOUND));
    for _ in 0..2 {
        assert_eq!(owner(&ask(&lookups, &fake).await), Some("ada"));
        assert_eq!(fake.asked(), 3);
    }
    assert!(counted(&lookups, "found") && counted(&lookups, "hit"));
}

/// Who has made a thing asks for it behind that, and is not told what was true before.
#[actix_rt::test]
async fn that_there_is_nothing_is_asked_again_by_whoever_comes_behind_the_question() {
    let (lookups, fake) = (lookups(), Fake::new(Reply::After(Duration::from_millis(20), 404, MISSING)));
    let earlier = actix_rt::spawn({
        let (lookups, fake) = (Arc::clone(&lookups), fake.clone());
        async move { ask(&lookups, &fake).await }
    });
    while fake.asked() == 0 {
        yield_now().await;
    }
    fake.now(Reply::Answer(200, FOUND));
    assert_eq!(owner(&ask(&lookups, &fake).await), Some("ada"));
    assert!(matches!(earlier.await.unwrap(), Ok(Found::Nothing)));
    assert_eq!(fake.asked(), 2);
}

#[actix_rt::test]
async fn another_workspace_is_another_question() {
    let (lookups, fake) = (lookups(), Fake::new(Reply::Answer(200, FOUND)));
    for workspace in [None, Some("a"), Some("b")] {
        let question = (workspace.map(Into::into), Container::Experiment("7".to_owned()));
        lookups.thing(&fake, &question).await.unwrap();
    }
    assert_eq!(fake.asked(), 3);
}

#[actix_rt::test]
async fn whoever_asked_first_may_go_away() {
    let (lookups, fake) = (lookups(), Fake::new(Reply::After(Duration::from_millis(20), 200, FOUND)));
    let starter = actix_rt::spawn({
        let (lookups, fake) = (Arc::clone(&lookups), fake.clone());
        async move { ask(&lookups, &fake).await }
    });
    yield_now().await;
    starter.abort();
    assert_eq!(owner(&ask(&lookups, &fake).await), Some("ada"));
    assert_eq!(fake.asked(), 1);
}

#[actix_rt::test]
async fn an_answer_to_a_question_from_before_a_change_is_not_used_for_whoever_comes_after_it() {
    let (lookups, fake) = (lookups(), Fake::new(Reply::After(Duration::from_millis(20), 200, FOUND)));
    let asking = || {
        let (lookups, fake) = (Arc::clone(&lookups), fake.clone());
        actix_rt::spawn(async move { ask(&lookups, &fake).await })
    };
    let before = asking();
    while fake.asked() == 0 {
        yield_now().await;
    }
    fake.now(Reply::Answer(200, r#"{"experiment": {"experiment_id": "7"}}"#));
    lookups.changes.note(Kind::Experiment, "7");
    assert_eq!(owner(&asking().await.unwrap()), None);
    assert_eq!(owner(&before.await.unwrap()), Some("ada"), "it was asked before the change");
    assert_eq!((owner(&ask(&lookups, &fake).await), fake.asked()), (None, 2));
}

/// As threads of one owner change tags of one model.
#[actix_rt::test]
async fn who_asks_while_a_thing_is_changed_all_the_time_gets_an_answer() {
    let (lookups, fake) = (lookups(), Fake::new(Reply::After(Duration::from_millis(20), 200, FOUND)));
    let changing = actix_rt::spawn({
        let lookups = Arc::clone(&lookups);
        async move {
            loop {
                lookups.changes.note(Kind::Experiment, "7");
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    // The second joins the question of the first, which is older than what it may know of.
    let first = actix_rt::spawn({
        let (lookups, fake) = (Arc::clone(&lookups), fake.clone());
        async move { ask(&lookups, &fake).await }
    });
    while fake.asked() == 0 {
        yield_now().await;
    }
    sleep(Duration::from_millis(5)).await;
    assert_eq!(owner(&ask(&lookups, &fake).await), Some("ada"));
    assert_eq!(owner(&first.await.unwrap()), Some("ada"));
    assert_eq!(fake.asked(), 2);
    changing.abort();
}

#[actix_rt::test]
async fn what_is_in_use_is_asked_for_before_it_is_too_old_and_nobody_waits_for_it() {
    let (lookups, fake) =
        (lookups(), Fake::new(Reply::Answer(200, r#"{"experiment": {"experiment_id": "7"}}"#)));
    let aging = Instant::now().checked_sub(FRESH.mul_f32(0.9)).unwrap();
    let thing = experiment().1.read(FOUND.as_bytes()).unwrap();
    lookups.things.memory.remember(experiment(), Arc::new(thing), aging);
    assert_eq!(owner(&ask(&lookups, &fake).await), Some("ada"));
    while lookups.things.memory.get(&experiment()).is_none_or(|known| known.is_aging) {
        yield_now().await;
    }
    assert_eq!((owner(&ask(&lookups, &fake).await), fake.asked()), (None, 1));
}

#[actix_rt::test]
async fn an_mlflow_that_is_down_is_left_alone_until_one_question_is_answered() {
    for down in [
        Reply::Fault(Unanswered::Unreached("closed".to_owned())),
        Reply::Answer(500, "<html>"),
        Reply::Answer(503, ""),
    ] {
        let (lookups, fake) = (lookups(), Fake::new(down));
        for _ in 0..5 {
            assert!(ask(&lookups, &fake).await.is_err());
        }
        fake.now(Reply::After(Duration::from_millis(50), 200, FOUND));
        assert_eq!(ask(&lookups, &fake).await.unwrap_err(), Unanswered::Paused);
        assert_eq!(fake.asked(), 5);
        sleep(Duration::from_millis(1050)).await;
        let probe = actix_rt::spawn({
            let (lookups, fake) = (Arc::clone(&lookups), fake.clone());
            async move { ask(&lookups, &fake).await }
        });
        while fake.asked() == 5 {
            yield_now().await;
        }
        let other = (None, Container::Model("m".to_owned()));
        assert_eq!(lookups.thing(&fake, &other).await.unwrap_err(), Unanswered::Paused);
        assert_eq!(owner(&probe.await.unwrap()), Some("ada"));
        assert_eq!(fake.asked(), 6);
        assert_ne!(lookups.thing(&fake, &other).await.unwrap_err(), Unanswered::Paused);
    }
}

#[actix_rt::test]
async fn an_mlflow_that_fails_now_and_then_is_asked_on() {
    let (lookups, fake) = (lookups(), Fake::new(Reply::Answer(503, "")));
    for _ in 0..3 {
        fake.now(Reply::Answer(503, ""));
        for _ in 0..4 {
            assert_ne!(ask(&lookups, &fake).await.unwrap_err(), Unanswered::Paused);
        }
        fake.now(Reply::Answer(404, MISSING));
        assert!(matches!(ask(&lookups, &fake).await, Ok(Found::Nothing)));
    }
}

#[actix_rt::test]
async fn a_question_at_which_mlflow_fails_stops_no_other() {
    for fails in [
        Reply::Answer(500, OWN_FAILURE),
        Reply::Answer(403, "<html>"),
        Reply::Answer(200, "{}"),
        Reply::Fault(Unanswered::Late),
        Reply::Fault(Unanswered::NotAsked("busy".to_owned())),
    ] {
        let (lookups, fake) = (lookups(), Fake::new(fails));
        for _ in 0..20 {
            assert!(ask(&lookups, &fake).await.is_err());
        }
        fake.now(Reply::Answer(200, FOUND));
        assert_eq!(owner(&ask(&lookups, &fake).await), Some("ada"));
    }
}

#[actix_rt::test]
async fn only_mlflows_own_word_says_that_there_is_nothing() {
    for (status, body, expected) in [
        (404, MISSING, "Ok(Nothing)"),
        (400, r#"{"error_code": "INVALID_PARAMETER_VALUE"}"#, "Ok(NotAnId)"),
        (404, "<html>", "Err(Status(Experiment, 404))"),
        (404, r#"{"error_code": "ENDPOINT_NOT_FOUND"}"#, "Err(Status(Experiment, 404))"),
        (404, r#"{"detail": "Not Found"}"#, "Err(Status(Experiment, 404))"),
        (200, MISSING, "Err(Unreadable)"),
        (302, MISSING, "Err(Status(Experiment, 302))"),
        (204, "", "Err(Status(Experiment, 204))"),
    ] {
        let (lookups, fake) = (lookups(), Fake::new(Reply::Answer(status, body)));
        assert_eq!(format!("{:?}", ask(&lookups, &fake).await), expected, "{status} {body}");
    }
}

#[actix_rt::test]
async fn mlflow_is_not_asked_for_a_name_that_is_longer_than_any_of_its_own() {
    let (lookups, fake) = (lookups(), Fake::new(Reply::Answer(200, FOUND)));
    let model = (None, Container::Model("m".repeat(1025)));
    assert!(matches!(lookups.thing(&fake, &model).await, Ok(Found::NotAnId)));
    assert_eq!(fake.asked(), 0);
}
