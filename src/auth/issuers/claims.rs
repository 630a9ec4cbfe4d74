//! What a token says, each claim once: of two with one name, another reader could take the other (RFC 7519 §4).

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Claims(pub(crate) Map<String, Value>);

impl Claims {
    /// A claim by its name, or by the names on the way to it with dots between them: `realm_access.roles`.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        find(&self.0, path)
    }

    /// A claim that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is a time (RFC 7519 §2, NumericDate), in seconds since 1970.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, NotATime> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(|seconds| Some(seconds as i64)).ok_or(NotATime),
        }
    }
}

/// A claim that should be a time.
#[derive(Debug)]
pub(super) struct NotATime;

/// Names may have dots in them: the longest is tried first.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    path.rmatch_indices('.').find_map(|(dot, _)| {
        let inner = claims.get(&path[..dot])?.as_object()?;
        find(inner, &path[dot + 1..])
    })
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Unique.deserialize(deserializer)? {
            Value::Object(claims) => Ok(Self(claims)),
            _ => Err(D::Error::custom("no object")),
        }
    }
}

struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Unique)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if object.insert(name, fields.next_value_seed(Unique)?).is_some() {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Result<Claims, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_claim_is_found_by_its_name_or_by_the_way_to_it() {
        let claims = claims(
            r#"{"sub": "a", "realm_access": {"roles": ["b"]}, "kubernetes.io": {"pod": {"name": "c"}}, "x.y": "d", "x": {"y": "e"},
                "https://example.com/team": "f"}"#,
        );
        let claims = claims.unwrap();
        for (path, value) in [
            ("sub", Some("a")),
            ("kubernetes.io.pod.name", Some("c")),
            ("x.y", Some("d")),
            ("https://example.com/team", Some("f")),
            ("sub.x", None),
            ("realm_access.role", None),
            ("", None),
        ] {
            assert_eq!(claims.get(path).and_then(Value::as_str), value, "{path}");
        }
        assert_eq!(claims.get("realm_access.roles").unwrap(), &serde_json::json!(["b"]));
    }

    #[test]
    fn a_claim_that_is_there_twice_is_refused() {
        for text in [
            r#"{"sub": "a", "sub": "b"}"#,
            r#"{"sub": "a", "s\u0075b": "a"}"#,
            r#"{"a": [{"b": 1, "b": 1}]}"#,
            "[]",
        ] {
            assert!(claims(text).is_err(), "{text}");
        }
    }
}
