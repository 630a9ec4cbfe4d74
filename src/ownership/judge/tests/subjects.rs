use super::{
    mlflow::{APART, FOLDER, HIS, LOST, MINE, SHARED},
    *,
};

/// The outcomes for ada: under `enforce`, where things without an owner are closed, with a fence alone; for a key without a user;
/// for carol; and of changing the writers: for ada, carol, and a key without a user.
#[actix_rt::test]
async fn a_thing_is_changed_by_its_owner_and_the_writers_and_a_new_one_by_any_user() {
    let fence = r#"{"models": ["acme-*"], "experiments": ["acme/*"]}"#;
    let writers = |user| Asking { user, reserved: Reserved::Writers, ..ADA };
    let columns = [
        ADA,
        Asking { unowned: Unowned::Closed, ..ADA },
        Asking { fence, ownership: Mode::Off, ..ADA },
        Asking { user: None, ..ADA },
        Asking { user: Some("carol"), ..ADA },
        writers(Some("ada")),
        writers(Some("carol")),
        writers(None),
    ];
    let of_run = |run: &str, folder: &str| format!("{folder}/{run}/artifacts/x");
    let (mine, his) = (of_run(MINE, "1"), of_run(HIS, "2"));
    let (apart, elsewhere) = (of_run(APART, FOLDER), of_run(APART, "2"));
    let (shared, misplaced) = (of_run(SHARED, "shared/four"), of_run(MINE, "2"));
    let every = |outcome| [outcome; 8];
    const NOBODY: [&str; 8] = ["owner", "owner", "fence", "owner", "owner", "owner", "owner", "owner"];
    const ADAS: [&str; 8] = ["-", "-", "-", "owner", "owner", "-", "owner", "owner"];
    const BOBS: [&str; 8] = ["owner", "owner", "fence", "owner", "-", "owner", "owner", "owner"];
    const OPEN: [&str; 8] = ["-", "owner", "fence", "-", "-", "owner", "owner", "owner"];
    const NEW_INSIDE: [&str; 8] = ["-", "-", "-", "owner", "-", "owner", "owner", "owner"];
    const NEW_OUTSIDE: [&str; 8] = ["-", "-", "fence", "owner", "-", "owner", "owner", "owner"];
    // A name tells whether it is inside, an id does not.
    let missing_outside =
        ["missing", "missing", "fence", "missing", "missing", "missing", "missing", "missing"];
    for (kind, id, expected) in [
        (Kind::Experiment, "1", ADAS),
        (Kind::Experiment, "2", BOBS),
        (Kind::Experiment, "3", OPEN),
        (Kind::Experiment, "9", every("missing")),
        (Kind::Experiment, "7", every("no id")),
        (Kind::Experiment, "8", every("unanswered")),
        (Kind::ExperimentName, "acme/x", NEW_INSIDE),
        (Kind::ExperimentName, "acme-x", NEW_OUTSIDE),
        (Kind::Model, "acme-m", ADAS),
        (Kind::Model, "bob-m", NOBODY),
        (Kind::Model, "acme-free", ["-", "owner", "-", "-", "-", "owner", "owner", "owner"]),
        (Kind::Model, "acme-new", every("missing")),
        (Kind::Model, "acme-odd", every("missing")),
        (Kind::Model, "new", missing_outside),
        (Kind::Model, "odd", missing_outside),
        (Kind::ModelName, "acme-x", NEW_INSIDE),
        (Kind::ModelName, "acme/x", NEW_OUTSIDE),
        (Kind::Location, "s3://a", NOBODY),
        (Kind::McpServer, "a", NOBODY),
        (Kind::Mutation, "", NOBODY),
        (Kind::Skill, "a", NOBODY),
        (Kind::Run, MINE, ADAS),
        (Kind::Run, HIS, BOBS),
        (Kind::Run, LOST, every("missing")),
        (Kind::Run, "gone", every("-")),
        (Kind::Run, "odd", every("no id")),
        (Kind::Dataset, "mine", ADAS),
        (Kind::Dataset, "both", NOBODY),
        (Kind::Dataset, "none", OPEN),
        (Kind::Dataset, "gone", OPEN),
        (Kind::Dataset, "too-long", every("unnamed")),
        (Kind::Artifact, &mine, ADAS),
        (Kind::Artifact, &his, BOBS),
        (Kind::Artifact, &apart, ADAS),
        (Kind::Artifact, &elsewhere, BOBS),
        (Kind::Artifact, &misplaced, BOBS),
        (Kind::Artifact, &shared, ADAS),
        (Kind::Artifact, "1/x", ADAS),
        (Kind::Artifact, "4/x", NOBODY),
        (Kind::Artifact, "9/x", NOBODY),
        (Kind::Artifact, "x/y", NOBODY),
    ] {
        for (column, (asking, expected)) in columns.iter().zip(expected).enumerate() {
            assert_eq!(asking.outcome(&[named(kind, id)]).await, expected, "{kind:?} {id}, column {column}");
        }
    }
}

/// The outcomes for ada where things without an owner are open and closed, and for a fence that everything else fits.
#[actix_rt::test]
async fn a_dataset_that_is_in_nothing_or_will_be_belongs_to_nobody() {
    let make = Asking { row: "POST /api/3.0/mlflow/datasets/create", ..ADA };
    let add = Asking { row: "POST /api/3.0/mlflow/datasets/{dataset_id}/add-experiments", ..ADA };
    let remove = Asking { row: "POST /api/3.0/mlflow/datasets/{dataset_id}/remove-experiments", ..ADA };
    let (dataset, experiment) = (|id: &str| named(Kind::Dataset, id), |id: &str| named(Kind::Experiment, id));
    let taken = |from: &str, ids: &[&str]| -> Vec<Named> {
        [dataset(from)].into_iter().chain(ids.iter().map(|id| experiment(id))).collect()
    };
    const NOBODYS: [&str; 3] = ["-", "owner", "fence"];
    const ADAS: [&str; 3] = ["-"; 3];
    for (what, asking, named, expected) in [
        ("made in nothing", &make, vec![], NOBODYS),
        ("made in one", &make, vec![experiment("1")], ADAS),
        ("put into one", &add, taken("one", &["1"]), ADAS),
        ("taken out of the only one", &remove, taken("one", &["1"]), NOBODYS),
        ("taken out of one of two", &remove, taken("two", &["1"]), ADAS),
        ("taken out of two of two", &remove, taken("two", &["1", "4"]), NOBODYS),
        ("taken out of one where it is not", &remove, taken("one", &["4"]), ADAS),
        ("taken out of the only one that is there", &remove, taken("mine", &["1"]), NOBODYS),
        ("nothing", &ADA, vec![], ADAS),
    ] {
        let fence = r#"{"experiments": ["*"], "models": ["*"]}"#;
        let columns = [
            asking.clone(),
            Asking { unowned: Unowned::Closed, ..asking.clone() },
            Asking { fence, ..asking.clone() },
        ];
        for (column, (asking, expected)) in columns.iter().zip(expected).enumerate() {
            assert_eq!(asking.outcome(&named).await, expected, "{what}, column {column}");
        }
    }
}
