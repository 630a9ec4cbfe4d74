//! Whose an artifact is, by its path in the store: that of the run, the logged model or the trace in the path, else of the
//! experiment that it begins with. The path must lie below the place that MLflow says is theirs.

use super::home::Item;
use crate::routing::Kind;

/// MLflow's scheme for its own store.
const SCHEME: &str = "mlflow-artifacts:";
/// Ids that are tried: a folder of a location of an operator's may look like one.
const MAX_CANDIDATES: usize = 4;

/// The items whose artifact a path may name, the likeliest first.
pub(super) fn items(path: &str) -> impl Iterator<Item = Item> + '_ {
    path.split('/').filter_map(item).take(MAX_CANDIDATES)
}

fn item(segment: &str) -> Option<Item> {
    let kind = match segment.split_once('-') {
        None => Kind::Run,
        Some(("m", _)) => Kind::LoggedModel,
        Some(("tr", _)) => Kind::Trace,
        Some(_) => return None,
    };
    let digits = segment.rsplit('-').next().unwrap_or_default();
    let is_id = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| Item { kind, id: segment.to_owned() })
}

/// The id of the experiment that a path begins with, where experiments have their usual place.
pub(super) fn experiment<'a>(path: &'a str, workspace: Option<&str>) -> Option<&'a str> {
    let first = in_workspace(path, workspace).split('/').next()?;
    Kind::Experiment.may_be(first).then_some(first)
}

/// Whether a path of the store is a location of MLflow's, or below it.
pub(super) fn is_below(path: &str, location: &str, workspace: Option<&str>) -> bool {
    let Some(location) = location.strip_prefix(SCHEME) else { return false };
    // mlflow-artifacts://host:port/path
    let location = match location.strip_prefix("//") {
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => location.trim_start_matches('/'),
    };
    let location = in_workspace(location.trim_end_matches('/'), workspace);
    let rest = in_workspace(path, workspace).strip_prefix(location);
    !location.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path without the folder of its workspace, which MLflow adds where it is not there.
fn in_workspace<'a>(path: &'a str, workspace: Option<&str>) -> &'a str {
    let rest = path.strip_prefix("workspaces/").zip(workspace);
    let rest = rest.and_then(|(rest, workspace)| rest.strip_prefix(workspace)?.strip_prefix('/'));
    rest.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_ids_in_a_path_are_found_in_its_order() {
        let (model, trace) = (format!("m-{RUN}"), format!("tr-{RUN}"));
        for (path, expected) in [
            (format!("1/{RUN}/artifacts/{model}/x"), vec![(Kind::Run, RUN), (Kind::LoggedModel, &*model)]),
            (format!("1/models/{model}/artifacts/MLmodel"), vec![(Kind::LoggedModel, &*model)]),
            (format!("workspaces/team/1/{RUN}/artifacts"), vec![(Kind::Run, RUN)]),
            (format!("1/traces/tr-{RUN}/artifacts/x"), vec![(Kind::Trace, &*trace)]),
            ([RUN; 5].join("/"), vec![(Kind::Run, RUN); 4]),
            ("1/tags/x".to_owned(), vec![]),
            (format!("1/x-{RUN}/{RUN}0/m-{}", &RUN[1..]), vec![]),
        ] {
            let found: Vec<_> = items(&path).map(|item| (item.kind, item.id)).collect();
            let expected: Vec<_> = expected.into_iter().map(|(kind, id)| (kind, id.to_owned())).collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn a_path_is_below_a_location_by_whole_segments() {
        for (path, location, workspace, expected) in [
            ("1/r/artifacts/a", "mlflow-artifacts:/1/r/artifacts", None, true),
            ("1/r/artifacts", "mlflow-artifacts:/1/r/artifacts/", None, true),
            ("1/r/artifacts2", "mlflow-artifacts:/1/r/artifacts", None, false),
            ("1/r/artifacts/a", "mlflow-artifacts://host:80/1/r/artifacts", None, true),
            ("1/r/artifacts/a", "s3://bucket/1/r/artifacts", None, false),
            ("1/r/artifacts/a", "/1/r/artifacts", None, false),
            ("1/r/artifacts/a", "mlflow-artifacts:/", None, false),
            ("1/r/artifacts/a", "mlflow-artifacts:/workspaces/team/1/r/artifacts", Some("team"), true),
            ("workspaces/team/1/r/artifacts/a", "mlflow-artifacts:/1/r/artifacts", Some("team"), true),
            ("workspaces/team/1/r/artifacts/a", "mlflow-artifacts:/1/r/artifacts", Some("tea"), false),
            ("workspaces/team/1/r/artifacts/a", "mlflow-artifacts:/1/r/artifacts", None, false),
        ] {
            assert_eq!(is_below(path, location, workspace), expected, "{path} {location}");
        }
    }

    #[test]
    fn a_path_may_begin_with_an_experiment() {
        for (path, workspace, expected) in [
            ("12/r", None, Some("12")),
            ("workspaces/team/12/r", Some("team"), Some("12")),
            ("workspaces/team/12/r", None, None),
            ("skills/12", None, None),
            ("012/r", None, None),
            ("99999999999999999999/r", None, None),
            ("", None, None),
        ] {
            assert_eq!(experiment(path, workspace), expected, "{path}");
        }
    }
}
