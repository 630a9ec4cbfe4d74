//! What the gateway writes into a create: the owner of an experiment or a model, the author of a run, a logged model, a version, a
//! dataset, an issue.

use serde_json::{Map, Value, json};

use super::{
    reserved::{MLFLOW_USER, is_own, is_user},
    thing::OWNER_TAG,
};
use crate::{
    auth::Principal,
    routing::{Stamp, json_name},
};

/// The tags with the author of a thing in another's experiment or model.
const USER_TAG: &str = "hokusai.user";
const KEY_TAG: &str = "hokusai.key_id";

/// The field with the tags of a create.
const TAGS: &str = "tags";

/// Why a body cannot be stamped; the end of a sentence that begins with "the body".
pub(crate) type Unstampable = &'static str;

/// Writes who creates this into the body. The gateway's own names stay if an administrator sent them, but for the author: MLflow's
/// client always sends the user of a run, and copies a model's version with its tags.
///
/// # Errors
/// A body that has no list of tags where one belongs.
pub(crate) fn stamp(
    stamp: Stamp,
    principal: &Principal,
    is_administrator: bool,
    body: &mut Value,
) -> Result<(), Unstampable> {
    let body = body.as_object_mut().ok_or("is not an object")?;
    let (user, key_id) = (principal.user_id.as_deref(), principal.key_id.as_deref());
    for field in fields(stamp).iter().filter(|&&field| field != TAGS) {
        body.retain(|name, _| json_name(name) != json_name(field));
        body.extend(user.map(|user| ((*field).to_owned(), user.into())));
    }
    let stamps: &[(&str, Option<&str>)] = match stamp {
        Stamp::Owner => &[(OWNER_TAG, user)],
        Stamp::Author => &[(USER_TAG, user), (KEY_TAG, key_id)],
        Stamp::Run => &[(MLFLOW_USER, user), (USER_TAG, user), (KEY_TAG, key_id)],
        Stamp::Dataset => return stamp_text(user, body),
        Stamp::User | Stamp::Creator => return Ok(()),
    };
    let tags = tags(body)?;
    let is_of_author =
        |key: &str| stamp != Stamp::Owner && is_author(key) || stamp == Stamp::Run && is_user(key);
    tags.retain(|tag| !is_of_author(key(tag)) && (is_administrator || !is_own(key(tag))));
    // First, as MLflow goes on with the tags before one that it cannot read.
    for (name, value) in stamps.iter().rev() {
        if let Some(value) = value
            && !tags.iter().any(|tag| key(tag) == *name)
        {
            tags.insert(0, json!({"key": name, "value": value}));
        }
    }
    Ok(())
}

/// The fields that a stamp writes.
pub(super) const fn fields(stamp: Stamp) -> &'static [&'static str] {
    match stamp {
        Stamp::Owner | Stamp::Author | Stamp::Dataset => &[TAGS],
        Stamp::Run => &["user_id", TAGS],
        Stamp::User => &["user_id"],
        Stamp::Creator => &["created_by"],
    }
}

/// Whether a tag's key is one of the author's, which are written anew into every create that has them.
pub(super) fn is_author(key: &str) -> bool {
    [USER_TAG, KEY_TAG].contains(&key)
}

/// The list of tags of a create, made if there is none.
fn tags(body: &mut Map<String, Value>) -> Result<&mut Vec<Value>, Unstampable> {
    let tags = body.entry(TAGS).or_insert(Value::Null);
    if tags.is_null() {
        *tags = json!([]);
    }
    tags.as_array_mut().ok_or("has tags that are not a list of {key, value}")
}

/// Into tags that are a text of JSON. MLflow makes `mlflow.user` the creator of a dataset
/// (mlflow/store/tracking/sqlalchemy_store.py, `create_dataset`).
fn stamp_text(user: Option<&str>, body: &mut Map<String, Value>) -> Result<(), Unstampable> {
    const WRONG: Unstampable = "has tags that are not an object in a text of JSON";
    let mut tags = match body.get(TAGS) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::String(text)) if text.is_empty() => Map::new(),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| WRONG)?,
        Some(_) => return Err(WRONG),
    };
    tags.retain(|name, _| !is_user(name));
    tags.extend(user.map(|user| (MLFLOW_USER.to_owned(), user.into())));
    body.insert(TAGS.to_owned(), Value::Object(tags).to_string().into());
    Ok(())
}

fn key(tag: &Value) -> &str {
    tag["key"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Value {
        json!({"key": key, "value": value})
    }

    fn stamped(which: Stamp, is_administrator: bool, mut body: Value) -> Result<Value, Unstampable> {
        let principal = Principal {
            user_id: Some("bob".to_owned()),
            key_id: Some("k1".to_owned()),
            ..Principal::default()
        };
        stamp(which, &principal, is_administrator, &mut body).map(|()| body)
    }

    #[test]
    fn a_create_says_who_made_it() {
        let (user, key_id) = (tag(USER_TAG, "bob"), tag(KEY_TAG, "k1"));
        for (which, body, expected) in [
            (Stamp::Owner, json!({"name": "a"}), json!({"name": "a", "tags": [tag(OWNER_TAG, "bob")]})),
            (
                Stamp::Owner,
                json!({"name": "a", "tags": [tag("x", "y")]}),
                json!({"name": "a", "tags": [tag(OWNER_TAG, "bob"), tag("x", "y")]}),
            ),
            (Stamp::Author, json!({"tags": null}), json!({"tags": [user, key_id]})),
            (
                Stamp::Run,
                json!({"experiment_id": "1", "userId": "alice", "tags": [tag("mlflow.user", "alice"), tag("Mlflow.User", "a")]}),
                json!({"experiment_id": "1", "user_id": "bob", "tags": [tag(MLFLOW_USER, "bob"), user, key_id]}),
            ),
            (
                Stamp::User,
                json!({"experiment_id": "1", "user_id": "alice"}),
                json!({"experiment_id": "1", "user_id": "bob"}),
            ),
            (
                Stamp::Creator,
                json!({"name": "a", "createdBy": "alice", "created_by": "alice"}),
                json!({"name": "a", "created_by": "bob"}),
            ),
            (Stamp::Dataset, json!({}), json!({"tags": r#"{"mlflow.user":"bob"}"#})),
            (Stamp::Dataset, json!({"tags": ""}), json!({"tags": r#"{"mlflow.user":"bob"}"#})),
            (
                Stamp::Dataset,
                json!({"tags": r#"{"a": 1, "mlflow.user": "alice", "MLflow.User": "alice"}"#}),
                json!({"tags": r#"{"a":1,"mlflow.user":"bob"}"#}),
            ),
        ] {
            assert_eq!(stamped(which, false, body), Ok(expected), "{which:?}");
        }
    }

    #[test]
    fn a_copy_does_not_keep_the_author_of_what_it_is_a_copy_of() {
        let (user, key_id) = (tag(USER_TAG, "bob"), tag(KEY_TAG, "k1"));
        for is_administrator in [false, true] {
            let copied = json!({"tags": [tag(USER_TAG, "alice"), tag("a", "b"), tag(KEY_TAG, "k2")]});
            let expected = json!({"tags": [user, key_id, tag("a", "b")]});
            assert_eq!(stamped(Stamp::Author, is_administrator, copied), Ok(expected), "{is_administrator}");
        }
    }

    #[test]
    fn what_a_client_says_of_the_owner_counts_only_from_an_administrator() {
        let carols = || json!({"tags": [tag(OWNER_TAG, "carol"), tag("HOKUSAI.writers", "carol")]});
        assert_eq!(
            stamped(Stamp::Owner, false, carols()),
            Ok(json!({"tags": [tag(OWNER_TAG, "bob")]})),
            "where ownership only reports"
        );
        assert_eq!(stamped(Stamp::Owner, true, carols()), Ok(carols()));
    }

    #[test]
    fn a_body_without_a_place_for_tags_is_not_stamped() {
        for body in [json!([]), json!("{}"), json!({"tags": {}}), json!({"tags": "[]"})] {
            assert!(stamped(Stamp::Owner, false, body).is_err());
        }
        for tags in [json!({}), json!("[]"), json!("{"), json!("null")] {
            assert!(stamped(Stamp::Dataset, false, json!({"tags": tags})).is_err(), "{tags}");
        }
    }

    #[test]
    fn a_key_without_a_user_has_no_author() {
        let mut body = json!({"user_id": "alice", "tags": [tag("mlflow.user", "alice")]});
        stamp(Stamp::Run, &Principal::default(), false, &mut body).unwrap();
        assert_eq!(body, json!({"tags": []}));
        let mut body = json!({"tags": r#"{"mlflow.user": "alice"}"#});
        stamp(Stamp::Dataset, &Principal::default(), false, &mut body).unwrap();
        assert_eq!(body, json!({"tags": "{}"}));
    }
}
