//! The judgement of each kind of subject, for each kind of key.

mod mlflow;
mod modes;
mod subjects;
mod waiting;

use std::sync::LazyLock;

use self::mlflow::{Fake, WORKSPACE};
use super::*;
use crate::{
    auth::Fence,
    routing::{Kind, RouteTable},
    settings::{Settings, Unowned},
};

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let url = ("HOKUSAI__MLFLOW__URL".to_owned(), "http://mlflow".to_owned());
    Settings::load(None, [url]).unwrap().policy
});
static ROUTES: LazyLock<RouteTable> = LazyLock::new(|| RouteTable::open(None).unwrap());
static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new().unwrap());

/// Who asks for a change, by which row of the table of routes, and under which settings.
#[derive(Clone)]
struct Asking {
    row: &'static str,
    user: Option<&'static str>,
    fence: &'static str,
    is_administrator: bool,
    ownership: Mode,
    unowned: Unowned,
    reserved: Reserved,
}

/// A row that makes nothing, and takes nothing out of anything.
const ADA: Asking = Asking {
    row: "POST /api/2.0/mlflow/runs/log-batch",
    user: Some("ada"),
    fence: "{}",
    is_administrator: false,
    ownership: Mode::Enforce,
    unowned: Unowned::Open,
    reserved: Reserved::None,
};

/// What came of it, in a word.
struct Judgement {
    outcome: &'static str,
    targets: Vec<Target>,
    /// The first of what is only reported, and how many more there are.
    reported: (Option<&'static str>, usize),
}

impl Asking {
    async fn judge(&self, mlflow: &Fake, named: Result<Option<&[Named]>, &SubjectError>) -> Judgement {
        let policy = Policy { ownership: self.ownership, unowned: self.unowned, ..POLICY.clone() };
        let fence: Fence = serde_json::from_str(self.fence).unwrap();
        let (method, pattern) = self.row.split_once(' ').unwrap();
        let is_row = |rule: &&Arc<Rule>| rule.method == *method && &*rule.pattern == pattern;
        let claim = Claim {
            rule: ROUTES.rules().iter().find(is_row).unwrap(),
            principal: &Principal { user_id: self.user.map(str::to_owned), fence, ..Principal::default() },
            is_administrator: self.is_administrator,
            policy: &policy,
            workspace: Some(WORKSPACE.into()),
            named,
            reserved: self.reserved,
            reported: Reported::default(),
        };
        let (ownership, mut targets) = (Ownership::new(METRICS.clone(), None), Vec::new());
        let outcome =
            ownership.judge(mlflow, &claim, &mut targets).await.as_ref().map_or_else(word, |()| "-");
        let reported = (claim.reported.first.get().map(word), claim.reported.others.get());
        Judgement { outcome, targets, reported }
    }

    async fn outcome(&self, named: &[Named]) -> &'static str {
        self.judge(&Fake::default(), Ok(Some(named))).await.outcome
    }
}

fn word(error: &OwnershipError) -> &'static str {
    match error {
        OwnershipError::Refused(refusal) if refusal.is_of_fence() => "fence",
        OwnershipError::Refused(_) => "owner",
        OwnershipError::Unnamed(_) => "unnamed",
        OwnershipError::Unanswered(_) => "unanswered",
        OwnershipError::NotAnId(_) => "no id",
        OwnershipError::TooLong(..) => "too long",
        OwnershipError::Missing(..) => "missing",
        OwnershipError::Unknown(_) => "unknown",
    }
}

fn named(kind: Kind, id: &str) -> Named {
    Named { kind, field: "a".to_owned(), id: id.to_owned(), is_listed: false }
}
