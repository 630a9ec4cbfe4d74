//! What the gateway writes into a create: the owner of an experiment or a model, the author of a run, a logged model, a version.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::thing::OWNER_TAG;
use crate::{auth::Principal, policy::Name, routing::Stamp};

/// The tags with the author of a thing in another's experiment or model.
const USER_TAG: &str = "hokusai.user";
const KEY_TAG: &str = "hokusai.key_id";
/// MLflow's own tag with the user of a run (mlflow/utils/mlflow_tags.py).
const MLFLOW_USER: &str = "mlflow.user";

static USER_NAME: LazyLock<Name> = LazyLock::new(|| Name::new(MLFLOW_USER));
static OWNER_NAME: LazyLock<Name> = LazyLock::new(|| Name::new(OWNER_TAG));

/// Why a body cannot be stamped; the end of a sentence that begins with "the body".
pub(crate) type Unstampable = &'static str;

/// Writes who creates this into the body. An administrator's own `hokusai.owner` stays.
///
/// # Errors
/// A body that has no list of tags where one belongs.
pub(crate) fn stamp(stamp: Stamp, principal: &Principal, body: &mut Value) -> Result<(), Unstampable> {
    let body = body.as_object_mut().ok_or("is not an object")?;
    let user = principal.user_id.as_deref();
    if stamp == Stamp::Run {
        body.retain(|name, _| !is_user_id(name));
        if let Some(user) = user {
            body.insert("user_id".to_owned(), user.into());
        }
    }
    let tags = tags(body)?;
    match stamp {
        Stamp::Owner if tags.iter().any(|tag| OWNER_NAME.is(key(tag))) => {}
        Stamp::Owner => tags.extend(user.map(|user| tag(OWNER_TAG, user))),
        Stamp::Author | Stamp::Run => {
            if stamp == Stamp::Run {
                tags.retain(|tag| !USER_NAME.is(key(tag)));
                tags.extend(user.map(|user| tag(MLFLOW_USER, user)));
            }
            tags.extend(user.map(|user| tag(USER_TAG, user)));
            tags.extend(principal.key_id.as_deref().map(|key_id| tag(KEY_TAG, key_id)));
        }
    }
    Ok(())
}

/// Takes the author of another thing out of a create: MLflow's client copies a model's version with its tags.
pub(crate) fn without_author(stamp: Stamp, body: &mut Value) {
    let Some(tags) = body.get_mut("tags").and_then(Value::as_array_mut) else { return };
    if stamp != Stamp::Owner {
        tags.retain(|tag| ![USER_TAG, KEY_TAG].contains(&key(tag)));
    }
}

/// The list of tags of a create, made if there is none.
fn tags(body: &mut Map<String, Value>) -> Result<&mut Vec<Value>, Unstampable> {
    let tags = body.entry("tags").or_insert(Value::Null);
    if tags.is_null() {
        *tags = json!([]);
    }
    tags.as_array_mut().ok_or("has tags that are not a list")
}

/// Whether protobuf's JSON takes a name for `user_id`.
fn is_user_id(name: &str) -> bool {
    matches!(name, "user_id" | "userId")
}

fn tag(key: &str, value: &str) -> Value {
    json!({"key": key, "value": value})
}

fn key(tag: &Value) -> &str {
    tag["key"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(which: Stamp, mut body: Value) -> Result<Value, Unstampable> {
        let principal = Principal {
            user_id: Some("bob".to_owned()),
            key_id: Some("k1".to_owned()),
            ..Principal::default()
        };
        stamp(which, &principal, &mut body).map(|()| body)
    }

    #[test]
    fn a_create_says_who_made_it() {
        let (user, key_id) = (tag(USER_TAG, "bob"), tag(KEY_TAG, "k1"));
        for (which, body, expected) in [
            (Stamp::Owner, json!({"name": "a"}), json!({"name": "a", "tags": [tag(OWNER_TAG, "bob")]})),
            (
                Stamp::Owner,
                json!({"name": "a", "tags": [tag("x", "y")]}),
                json!({"name": "a", "tags": [tag("x", "y"), tag(OWNER_TAG, "bob")]}),
            ),
            (
                Stamp::Owner,
                json!({"tags": [tag("HOKUSAI.owner", "carol")]}),
                json!({"tags": [tag("HOKUSAI.owner", "carol")]}),
            ),
            (Stamp::Author, json!({"tags": null}), json!({"tags": [user, key_id]})),
            (
                Stamp::Run,
                json!({"experiment_id": "1", "userId": "alice", "tags": [tag("mlflow.user", "alice"), tag("Mlflow.User", "a")]}),
                json!({"experiment_id": "1", "user_id": "bob", "tags": [tag(MLFLOW_USER, "bob"), user, key_id]}),
            ),
        ] {
            assert_eq!(stamped(which, body), Ok(expected));
        }
    }

    #[test]
    fn a_copy_does_not_keep_the_author_of_what_it_is_a_copy_of() {
        let copied = || json!({"tags": [tag(USER_TAG, "alice"), tag("a", "b"), tag(KEY_TAG, "k2"), tag(OWNER_TAG, "c")]});
        for (which, expected) in [
            (Stamp::Author, json!({"tags": [tag("a", "b"), tag(OWNER_TAG, "c")]})),
            (Stamp::Run, json!({"tags": [tag("a", "b"), tag(OWNER_TAG, "c")]})),
            (Stamp::Owner, copied()),
        ] {
            let mut body = copied();
            without_author(which, &mut body);
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn a_body_without_a_place_for_tags_is_not_stamped() {
        for body in [json!([]), json!("{}"), json!({"tags": {}}), json!({"tags": "[]"})] {
            assert!(stamped(Stamp::Owner, body).is_err());
        }
    }

    #[test]
    fn a_key_without_a_user_has_no_author() {
        let mut body = json!({"user_id": "alice", "tags": [tag("mlflow.user", "alice")]});
        stamp(Stamp::Run, &Principal::default(), &mut body).unwrap();
        assert_eq!(body, json!({"tags": []}));
    }
}
