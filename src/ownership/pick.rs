//! One value of a JSON text, found without reading behind it: a run's answer begins with what is asked for, and may be long.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize as _,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

/// The value at a path of names; the first, where a name is there twice. The text may be cut off behind it.
pub(super) fn pick(text: &[u8], path: &[&str]) -> Option<Value> {
    let mut found = None;
    let seek = Seek { path, found: &mut found };
    // It ends with an error as soon as the value is found.
    let _ended = seek.deserialize(&mut serde_json::Deserializer::from_slice(text));
    found
}

struct Seek<'a> {
    path: &'a [&'a str],
    found: &'a mut Option<Value>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.path.is_empty() {
            return deserializer.deserialize_map(self);
        }
        *self.found = Some(Value::deserialize(deserializer)?);
        Err(D::Error::custom("found"))
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Some((name, path)) = self.path.split_first() else { return Ok(()) };
        while let Some(field) = fields.next_key::<Cow<'de, str>>()? {
            if field == *name {
                return fields.next_value_seed(Seek { path, found: self.found });
            }
            fields.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::pick;

    #[test]
    fn a_value_is_found_at_its_path() {
        let text = br#"{"a": [1, {"b": 2}], "run": {"x": {"id": "no"}, "info": {"id": "7"}, "data": {}}}"#;
        assert_eq!(pick(text, &["run", "info", "id"]), Some(json!("7")));
        assert_eq!(pick(text, &["run", "info"]), Some(json!({"id": "7"})));
        assert_eq!(pick(text, &["a"]), Some(json!([1, {"b": 2}])));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for text in [
            &br#"{"run": {"data": {"info": 1}}}"#[..],
            b"[]",
            b"\"run\"",
            b"",
            b"<html>",
            br#"{"run": null}"#,
        ] {
            assert_eq!(pick(text, &["run", "info"]), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_text_may_be_cut_off_behind_it_and_not_in_it() {
        let text = br#"{"run": {"info": {"id": "7"}, "data": {"#;
        assert_eq!(pick(text, &["run", "info"]), Some(json!({"id": "7"})));
        assert_eq!(pick(br#"{"run": {"info": {"id": "7"#, &["run", "info"]), None);
    }
}
