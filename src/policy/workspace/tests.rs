use super::*;
use crate::routing::Base;

fn workspace(name: &str) -> Workspace {
    name.to_owned().try_into().unwrap()
}

/// Whether a name in the store, decoded once, is one that the workspace may reach.
fn is_inside(name: &str, named: &str) -> bool {
    ArtifactPath::read(named, Base::Store).is_ok_and(|artifact| holds(&workspace(name), &artifact))
}

#[test]
fn an_artifacts_name_stays_in_its_workspace() {
    for (name, inside) in [
        ("", true),
        ("1/run/artifacts/model.pkl", true),
        ("workspaces/team-a/1/run/artifacts/model.pkl", true),
        ("workspaces/team-a", true),
        ("workspaces%2Fteam-a/1", true),
        ("1/workspaces/team-b/x", true),
        ("100%25/x", true),
        ("1/at 12:00.png", true),
        ("workspaces?/team-b", true),
        ("%ff", true),
        ("workspaces/team-b/1/run/artifacts/model.pkl", false),
        ("workspaces", false),
        ("workspaces/", false),
        ("workspaces/team-a-b/x", false),
        ("workspaces/Team-a/x", false),
        ("Workspaces/team-b/x", false),
        ("workspaces%2Fteam-b/x", false),
        ("workspaces%252Fteam-b/x", false),
        ("w%6frkspaces/team-b/x", false),
        (" workspaces/team-b/x", false),
        ("work\tspaces/team-b/x", false),
        ("%25201\n/../workspaces/team-b/x", false),
        ("./workspaces/team-b/x", false),
        ("%2e/workspaces/team-b/x", false),
        ("%25252e/workspaces/team-b/x", false),
        ("a/../workspaces/team-b/x", false),
        ("/workspaces/team-b/x", false),
        ("%2Fworkspaces/team-b/x", false),
        ("workspaces//team-b/x", false),
        ("workspaces%23", false),
        ("file:/workspaces/team-b", false),
    ] {
        assert_eq!(is_inside("team-a", name), inside, "{name}");
    }
}

#[test]
fn the_default_workspace_has_experiments_and_what_bears_its_name() {
    for (name, inside) in [
        ("1/run/artifacts", true),
        ("123456789012345678/models/m-1/artifacts", true),
        ("workspaces/default/1", true),
        ("skills/@acme/reviewer/0123/SKILL.md", true),
        ("Skills/reviewer/0123/SKILL.md", false),
        ("skillset/a", false),
        ("workspaces/default", true),
        ("", false),
        ("%2f", false),
        (" ", false),
        ("file:", false),
        ("workspaces", false),
        ("workspaces;", false),
        ("workspaces/team-b/1", false),
        ("workspaces\\team-b", false),
        ("WORKSPACES/default/1", false),
        ("\u{1f}./workspaces/team-b/1", false),
        ("team-b/1", false),
        ("1:/x", false),
        ("１/x", false),
    ] {
        assert_eq!(is_inside("default", name), inside, "{name}");
    }
}

#[test]
fn a_tag_of_a_place_is_found_wherever_it_stands() {
    for (body, found) in [
        (r#"{"key": "mlflow.artifactLocation", "value": "file:///"}"#, true),
        (r#"{"tags": [{"key": "mlflow.trace.spansLocation"}]}"#, true),
        (r#"{"trace": {"trace_info": {"tags": {" MLFLOW.trace.ArchiveLocation": "x"}}}}"#, true),
        (r#"{"key": "mlflow.artifact\u004cocation"}"#, true),
        (r#"{"tags": {"mlflow.trace.archiveLocatio\u0144": "x"}}"#, true),
        (r#"{"tags": {"\uff4dlflow.trace.spansLocation\u200b": "x"}}"#, true),
        (r#"{"key": "note", "value": "about mlflow.artifactLocation"}"#, false),
        (r#"{"tags": {"mlflow.traceName": "x"}}"#, false),
    ] {
        assert_eq!(has_location_tag(&serde_json::from_str(body).unwrap()), found, "{body}");
    }
}

#[test]
fn every_model_of_a_batch_is_found_once() {
    let body =
        r#"{"metrics": [{"model_id": "m-1"}, {"modelId": "m-2"}, {"model_id": "m-1"}, {"model_id": ""}]}"#;
    let mut found = Vec::new();
    collect_model_ids(&serde_json::from_str(body).unwrap(), &mut found);
    assert_eq!(found, ["m-1", "m-2"]);
}
