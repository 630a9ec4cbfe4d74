use super::{Field, Kind, PathName, Place, Subject, Subjects};
use crate::routing::{RouteTable, Rule, Tagged};

const MLFLOW: &str = include_str!("../mlflow.routes");

fn read(column: &str) -> Result<Option<Subjects>, &'static str> {
    Subjects::read(column, "/a/@{organization}/{name}:do/{trace_id}/{*rest}")
}

fn named(rule: &Rule) -> &[Subject] {
    match &rule.subjects {
        Some(Subjects::Named(subjects)) => subjects,
        Some(Subjects::Free) | None => &[],
    }
}

#[test]
fn a_column_says_what_was_written() {
    assert_eq!(read(""), Ok(None));
    for (written, said) in [
        ("free", "free"),
        ("run body.run_id | body.run_uuid", "run body.run_id | body.run_uuid"),
        ("run body.run_id|body.run_uuid", "run body.run_id | body.run_uuid"),
        ("model body.name, body.new_name", "model body.name, model body.new_name"),
        (
            "experiment query.a | none, trace spans.trace_id",
            "experiment query.a | none, trace spans.trace_id",
        ),
        ("experiment header.x-mlflow-experiment-id", "experiment header.x-mlflow-experiment-id"),
        ("logged_model body.models[].model_id | none", "logged_model body.models[].model_id | none"),
        ("artifact path", "artifact path"),
        ("mcp_server path.rest", "mcp_server path.rest"),
        ("server itself, experiment body.a | none", "server itself, experiment body.a | none"),
        ("skill path.organization/path.trace_id", "skill path.organization/path.trace_id"),
    ] {
        assert_eq!(read(written).unwrap().unwrap().words(), said, "{written}");
    }
    let Ok(Some(Subjects::Named(subjects))) = read("run body.a.b[].c | query.d | none") else { panic!() };
    let field = |name: &str, is_list| Field { name: name.to_owned(), json_name: name.to_owned(), is_list };
    let places = vec![
        Place::Body(vec![field("a", false), field("b", true), field("c", false)]),
        Place::Query("d".to_owned()),
    ];
    assert_eq!(subjects, [Subject { kind: Kind::Run, places, is_optional: true }]);
}

#[test]
fn a_column_that_cannot_be_meant_is_refused() {
    for (column, fault) in [
        ("runs body.run_id", "kind of subject"),
        ("body.run_id", "kind of subject"),
        ("run body.run_id, modell body.name", "kind of subject"),
        ("run free", "place"),
        ("run", "kind of subject"),
        ("run none", "place"),
        ("run body.run_id | none | body.run_uuid", "place"),
        ("run body.run_id |", "place"),
        ("run body.run_id,", "place"),
        ("run body.runId", "place"),
        ("run body", "place"),
        ("run body.", "place"),
        ("run body.a..b", "place"),
        ("run body[].a", "place"),
        ("run form.run_id", "place"),
        ("run query.a[]", "place"),
        ("run header.X-Run", "place"),
        ("run spans.span_id", "place"),
        ("run path", "place"),
        ("run itself", "place"),
        ("server path.rest", "place"),
        ("artifact path.rest", "place"),
        ("run path.run_id", "the path has no"),
        ("run path.name", "the path has no"),
        ("skill path.organization/path.nothing", "the path has no"),
    ] {
        let found = read(column).unwrap_err();
        assert!(found.contains(fault), "{column}: {found}");
    }
}

#[test]
fn a_name_in_a_path_is_kept_by_its_position() {
    for (name, slashes, before, is_rest) in
        [("organization", 2, 1, false), ("trace_id", 4, 0, false), ("rest", 5, 0, true)]
    {
        let column = read(&format!("trace path.{name}")).unwrap();
        let Some(Subjects::Named(subjects)) = column else { panic!("{name}") };
        let path = PathName { name: name.to_owned(), slashes, before, is_rest };
        assert_eq!(subjects[0].places, [Place::Path(path)]);
    }
}

#[test]
fn every_row_that_changes_something_says_what() {
    for rule in RouteTable::open(None).unwrap().rules() {
        assert_eq!(rule.subjects.is_some(), rule.changes(), "{} {}", rule.method, rule.pattern);
    }
}

#[test]
fn a_row_without_a_thing_says_why() {
    let is_one = |line: &&str| line.contains(" free") || line.contains(" server itself");
    let rows = MLFLOW.lines().filter(|line| !line.starts_with('#')).filter(is_one);
    assert!(rows.clone().count() > 50);
    for line in rows {
        assert!(line.split_once("   # ").is_some_and(|(_, why)| why.ends_with('.')), "{line}");
    }
}

/// What has the tags is what is changed, or a part of it.
#[test]
fn a_row_that_changes_tags_has_the_subject_that_has_them() {
    for rule in RouteTable::open(None).unwrap().rules() {
        let Some(tagging) = rule.tagging else { continue };
        let kinds: &[Kind] = match tagging.tagged {
            Tagged::Experiment => &[Kind::Experiment, Kind::ExperimentName],
            Tagged::Model | Tagged::Version => &[Kind::Model],
            Tagged::Trace => &[Kind::Trace],
        };
        assert!(named(rule).iter().any(|subject| kinds.contains(&subject.kind)), "{}", rule.pattern);
    }
}

#[test]
fn an_artifact_is_the_subject_of_the_rows_that_name_one_of_the_store() {
    for rule in RouteTable::open(None).unwrap().rules().iter().filter(|rule| rule.changes()) {
        let is_named = named(rule).iter().any(|subject| subject.kind == Kind::Artifact);
        assert_eq!(is_named, rule.pattern.contains("/mlflow-artifacts/"), "{}", rule.pattern);
    }
}

#[test]
fn an_operators_row_keeps_the_subject_of_the_one_whose_place_it_takes() {
    for (row, kept) in [
        ("PATCH /api/3.0/mlflow/traces/{id}/tags", Some("trace path.trace_id")),
        ("PATCH /api/3.0/mlflow/traces/t-1/tags", Some("trace path.trace_id")),
        // Another version may read other fields.
        ("POST /api/9.0/mlflow/runs/set-tag", None),
        ("POST /api/2.0/mlflow/runs/set-tag run body.run_id body=json", Some("run body.run_id")),
        ("POST /plugin/things model body.name   # As a model.", Some("model body.name")),
        ("POST /plugin/things", None),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, format!("[write]\n{row}\n")).unwrap();
        let table = RouteTable::open(Some(file.path())).unwrap();
        let pattern = row.split(' ').nth(1).unwrap();
        let rule = table.rules().iter().find(|rule| &*rule.pattern == pattern).unwrap();
        assert_eq!(rule.subjects.as_ref().map(Subjects::words).as_deref(), kept, "{row}");
    }
}

#[test]
fn an_experiments_id_is_a_number_as_mlflow_writes_it() {
    for (id, expected) in [
        ("0", true),
        ("12", true),
        ("9223372036854775807", true),
        ("9223372036854775808", false),
        ("012", false),
        ("+2", false),
        ("-2", false),
        (" 2", false),
        ("2_0", false),
        ("\u{662}", false),
        ("", false),
    ] {
        assert_eq!(Kind::Experiment.may_be(id), expected, "{id:?}");
    }
}
