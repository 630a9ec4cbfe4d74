//! JSON that can be read in one way only.
//!
//! MLflow reads protobuf's JSON, in which `experiment_id` and `experimentId` are one field and the last one counts
//! (google/protobuf/json_format.py). Another reader may take the first.

use std::{cell::Cell, collections::BTreeSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::{parse_fault::ParseFault, routing::json_name};

/// The most values and names in a body: each takes up to 300 bytes of memory, and as few as two bytes in the body.
const MAX_VALUES: usize = 50_000;
const TOO_MANY: &str = "it holds more values than are read of a request like this one";
const TWICE: &str = "a field is there twice, in one spelling or in two";

/// Reads a body of JSON, in UTF-8.
///
/// # Errors
/// A text that is not JSON, or an object with the same field twice.
pub(super) fn read(body: &[u8]) -> Result<Value, ParseFault> {
    read_up_to(MAX_VALUES, body)
}

/// The same with another limit.
///
/// # Errors
/// Likewise.
pub(super) fn read_up_to(values: usize, body: &[u8]) -> Result<Value, ParseFault> {
    read_unambiguous(values, body).map_err(|error| ParseFault::of_json(&error, &[TWICE, TOO_MANY]))
}

fn read_unambiguous(values: usize, body: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let left = Cell::new(values);
    let value = Unambiguous { left: &left }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Unambiguous<'a> {
    /// The number of values that may still follow.
    left: &'a Cell<usize>,
}

impl Unambiguous<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom(TOO_MANY))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Unambiguous<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous<'_> {
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
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        // Only a name with `_` has another spelling.
        let (mut object, mut respelled) = (Map::new(), BTreeSet::new());
        while let Some(name) = fields.next_key::<String>()? {
            self.count()?;
            let is_new = if name.contains('_') {
                let json = json_name(&name);
                !object.contains_key(&json) && respelled.insert(json)
            } else {
                !respelled.contains(&name)
            };
            let value = fields.next_value_seed(self)?;
            if !is_new || object.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_VALUES, read};

    #[test]
    fn json_is_read_as_it_is() {
        let text = r#"{"run_id":"a","steps":[1,-2,2.5,1e3],"tags":[{"key":"a"},{"key":"b"}],"ok":true,"none":null,"é":"\u00e9"}"#;
        assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn one_field_named_twice_is_refused() {
        for text in [
            r#"{"experiment_id":"1","experiment_id":"2"}"#,
            r#"{"experiment_id":"1","experimentId":"2"}"#,
            r#"{"experimentId":"1","experiment_id":"1"}"#,
            r#"{"experiment\u005fid":"1","experiment_id":"2"}"#,
            r#"{"experiment_id":"1","experiment__id":"2"}"#,
            r#"{"name":"a","_name":"a","Name":"b"}"#,
            r#"{"a":{"b":[{"run_id":1,"runId":2}]}}"#,
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is there twice"), "{text}: {error}");
        }
    }

    #[test]
    fn a_body_of_many_values_is_refused() {
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
        let object = |count: usize| {
            let fields: Vec<_> = (0..count / 2).map(|number| format!("\"{number}\":0")).collect();
            format!("{{{}}}", fields.join(","))
        };
        for (body, is_read) in [
            (list(MAX_VALUES), true),
            (list(MAX_VALUES + 1), false),
            (object(MAX_VALUES - 2), true),
            (object(MAX_VALUES + 2), false),
        ] {
            assert_eq!(read(body.as_bytes()).is_ok(), is_read, "{body:.20}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in [
            &b""[..],
            b"{",
            b"{} {}",
            b"run_id=1",
            b"{'run_id': 1}",
            b"{\"a\": NaN}",
            b"{\"a\": 1,}",
            b"\xef\xbb\xbf{}",
            b"{\"a\": \"\xff\"}",
            b"{\x00\"\x00a\x00\"\x00:\x001\x00}\x00",
            &[b'['; 100_000],
        ] {
            assert!(read(body).is_err(), "{:?}", String::from_utf8_lossy(&body[..body.len().min(40)]));
        }
    }
}
