//! What was judged, and what the gateway writes, stands first in the body that is sent on. MLflow goes on with the fields before one
//! that it cannot read (mlflow/server/handlers.py, `_get_request_message`), whatever a client puts there: a thing would have no owner
//! and no author, and MLflow takes an experiment that it did not read for the default one
//! (mlflow/store/tracking/sqlalchemy_store.py, `_get_experiment`).

use serde_json::{Map, Value};

use super::stamp::fields;
use crate::routing::{Field, Kind, Place, Stamp, Subjects};

/// Moves to the beginning of a body: the experiments that it names, then what a stamp has written into it. Without any other name,
/// MLflow changes nothing. Whether something stood elsewhere.
pub(crate) fn put_foremost(subjects: Option<&Subjects>, stamp: Option<Stamp>, body: &mut Value) -> bool {
    let Some(body) = body.as_object_mut() else { return false };
    let subjects = match subjects {
        Some(Subjects::Named(subjects)) => &subjects[..],
        Some(Subjects::Free) | None => &[],
    };
    let experiments = subjects.iter().filter(|subject| subject.kind == Kind::Experiment);
    let experiments = experiments.flat_map(|subject| &subject.places).filter_map(outermost);
    let names = experiments.flat_map(|Field { name, json_name, .. }| [&**name, json_name]);
    let stamped = stamp.map_or(&[][..], fields);
    let mut place = 0;
    let mut is_moved = false;
    for name in names.chain(stamped.iter().copied()) {
        is_moved |= put(body, name, &mut place);
    }
    is_moved
}

/// MLflow takes no default for one that is deeper inside.
fn outermost(place: &Place) -> Option<&Field> {
    match place {
        Place::Body(fields) if fields.len() == 1 => fields.first(),
        _ => None,
    }
}

/// Puts a field, if it is there, at the next place.
fn put(body: &mut Map<String, Value>, name: &str, place: &mut usize) -> bool {
    let Some(found) = body.keys().position(|key| key == name) else { return false };
    let is_moved = found > *place;
    if is_moved && let Some((name, value)) = body.shift_remove_entry(name) {
        body.shift_insert(*place, name, value);
    }
    if found >= *place {
        *place += 1;
    }
    is_moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::RouteTable;

    fn moved(pattern: &str, stamp: Option<Stamp>, body: &str) -> Option<String> {
        let table = RouteTable::open(None).unwrap();
        let rule = table.rules().iter().find(|rule| rule.pattern.ends_with(pattern)).expect(pattern);
        let mut body = serde_json::from_str(body).unwrap();
        put_foremost(rule.subjects.as_ref(), stamp, &mut body).then(|| body.to_string())
    }

    #[test]
    fn the_experiment_of_a_body_is_read_before_any_fault() {
        for (pattern, body, expected) in [
            ("/experiments/update", r#"{"experiment_id":"1","[a]":1}"#, None),
            (
                "/experiments/update",
                r#"{"[a]":1,"new_name":"x","experiment_id":"1"}"#,
                Some(r#"{"experiment_id":"1","[a]":1,"new_name":"x"}"#),
            ),
            (
                "/scorers/delete",
                r#"{"name":"x","experimentId":"1"}"#,
                Some(r#"{"experimentId":"1","name":"x"}"#),
            ),
            ("/label-schemas/list", r#"{"[a]":1}"#, None),
            (
                "/datasets/create",
                r#"{"[a]":1,"experiment_ids":["1"]}"#,
                Some(r#"{"experiment_ids":["1"],"[a]":1}"#),
            ),
            ("/runs/set-tag", r#"{"[a]":1,"run_id":"r"}"#, None),
            ("/runs/create", "[1]", None),
        ] {
            assert_eq!(moved(pattern, None, body).as_deref(), expected, "{pattern} {body}");
        }
    }

    #[test]
    fn what_a_stamp_has_written_is_read_next() {
        for (pattern, stamp, body, expected) in [
            (
                "/runs/create",
                Stamp::Run,
                r#"{"startTime":{},"tags":[],"user_id":"ada","experimentId":"1"}"#,
                Some(r#"{"experimentId":"1","user_id":"ada","tags":[],"startTime":{}}"#),
            ),
            ("/runs/create", Stamp::Run, r#"{"experiment_id":"1","tags":[],"[a]":1}"#, None),
            (
                "/registered-models/create",
                Stamp::Owner,
                r#"{"name":"m","tags":[]}"#,
                Some(r#"{"tags":[],"name":"m"}"#),
            ),
            (
                "/issues",
                Stamp::Creator,
                r#"{"[a]":1,"created_by":"ada","experiment_id":"1"}"#,
                Some(r#"{"experiment_id":"1","created_by":"ada","[a]":1}"#),
            ),
        ] {
            assert_eq!(moved(pattern, Some(stamp), body).as_deref(), expected, "{body}");
        }
    }
}
