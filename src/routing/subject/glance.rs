//! The run of a body that need not be parsed: a training script logs to one run again and again, in bodies of many values.
//!
//! In ASCII without escapes, a quoted name that is there once is one field in every reading of the JSON, and a name that is not
//! there is none. Whatever is not as plain as that is parsed.

use memchr::{memchr, memchr2};

use super::{
    Field, Kind, Named, Place, Subject, Subjects,
    sweep::{Marks, sweep},
};

/// With one of these in it, a body may have names of the gateway's own, or the author of a run. Each is searched for by a letter, at
/// this position in it, that the names and numbers of metrics seldom have: every `"value"` has a `u`.
const RESERVED: [(&[u8], usize); 2] = [(b"hokusai", 0), (b"mlflow.user", 5)];
const LETTERS: [u8; 2] = [b'h', b'w'];

impl Subjects {
    /// The subjects of a JSON body, where they are its run alone and nobody can read them otherwise. `None`: it is to be parsed.
    pub(crate) fn at_a_glance(&self, body: &[u8]) -> Option<Vec<Named>> {
        let Self::Named(subjects) = self else { return None };
        let [run @ Subject { kind: Kind::Run, is_optional: false, .. }, others @ ..] = &subjects[..] else {
            return None;
        };
        let is_outermost = |place: &Place| matches!(place, Place::Body(fields) if fields.len() == 1);
        if !run.places.iter().all(is_outermost) || !others.iter().all(|other| other.is_optional) {
            return None;
        }
        let marks = Marks { letters: LETTERS, before_quote: common_end(subjects)? };
        let mut mentioned = None;
        // A zero byte makes another encoding of it (Python's json.detect_encoding); some databases take a name with 0x7f in it for one
        // without.
        let is_plain = sweep(body, marks, &mut |at| {
            if body[at] == b'\\' || is_reserved(body, at) {
                return false;
            }
            let (quoted, behind) = body.split_at(at + 1);
            let mention = behind.strip_prefix(b"\"").and_then(|behind| mention(subjects, quoted, behind));
            mention.is_none() || mentioned.replace(mention).is_none()
        });
        let Mention { kind: Kind::Run, field, before, behind } = mentioned.flatten().filter(|_| is_plain)?
        else {
            return None;
        };
        let id = text_behind(behind).filter(|_| is_of_first_object(before))?;
        let is_id = !id.is_empty() && Kind::Run.may_be(id);
        is_id.then(|| {
            let (field, id) = (field.name.clone(), id.to_owned());
            vec![Named { kind: Kind::Run, field, id, is_listed: false }]
        })
    }
}

/// The quoted name of a field, and what is before it and behind it.
struct Mention<'a> {
    kind: Kind,
    field: &'a Field,
    before: &'a [u8],
    behind: &'a [u8],
}

/// The last character of all spellings of all fields, so that one search finds them: `d` for `run_id`, `run_uuid` and `model_id`.
fn common_end(subjects: &[Subject]) -> Option<u8> {
    let mut ends = subjects.iter().flat_map(|subject| &subject.places).flat_map(|place| match field(place) {
        Some(Field { name, json_name, .. }) => [name, json_name].map(|name| name.bytes().last()),
        None => [None; 2],
    });
    let end = ends.next()??;
    ends.all(|other| other == Some(end)).then_some(end)
}

/// The field that has the name, if it is in the body.
fn field(place: &Place) -> Option<&Field> {
    let Place::Body(fields) = place else { return None };
    fields.last()
}

/// The field whose name the text ends with, without the quotation mark behind it.
fn mention<'a>(subjects: &'a [Subject], quoted: &'a [u8], behind: &'a [u8]) -> Option<Mention<'a>> {
    let fields = subjects
        .iter()
        .flat_map(|subject| subject.places.iter().filter_map(field).map(|field| (subject.kind, field)));
    fields.into_iter().find_map(|(kind, field)| {
        let spellings = [&field.name, &field.json_name];
        let mut before =
            spellings.iter().filter_map(|name| quoted.strip_suffix(name.as_bytes())?.strip_suffix(b"\""));
        before.next().map(|before| Mention { kind, field, before, behind })
    })
}

/// Whether one of the names that are reserved has its letter here.
fn is_reserved(body: &[u8], at: usize) -> bool {
    let is_here = |name: &[u8], begin: usize| {
        body.get(begin..begin + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    RESERVED.iter().any(|&(name, before)| at.checked_sub(before).is_some_and(|begin| is_here(name, begin)))
}

/// Whether what follows is in the outermost object: nothing else has been opened.
fn is_of_first_object(before: &[u8]) -> bool {
    let before = before.trim_ascii_start();
    before.strip_prefix(b"{").is_some_and(|inside| memchr2(b'{', b'[', inside).is_none())
}

/// The text that is the value of a name.
fn text_behind(body: &[u8]) -> Option<&str> {
    let value = body.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    std::str::from_utf8(&value[..memchr(b'"', value)?]).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderMap;

    use super::*;
    use crate::routing::Sources;

    fn log_batch() -> Subjects {
        let column = "run body.run_id | body.run_uuid, logged_model body.metrics[].model_id | none";
        Subjects::read(column, "/log-batch").unwrap().unwrap()
    }

    #[test]
    fn a_plain_body_needs_no_parsing_and_any_other_does() {
        for (body, run) in [
            (r#"{"run_id": "r1", "metrics": [{"key": "a", "value": 1}]}"#, Some("r1")),
            (r#" {"x": 1, "runId" :"r1"}"#, Some("r1")),
            (r#"{"run_uuid": "r1", "metrics": [NaN]}"#, Some("r1")),
            (r#"{"run_id": "r1", "run_uuid": "r1"}"#, None),
            (r#"{"run_id": "r1", "runId": "r2"}"#, None),
            (r#"{"run_id": "r1", "x": {"run_id": "r2"}}"#, None),
            (r#"{"x": "run_id", "run_uuid": "r1"}"#, None),
            (r#"{"x": {}, "run_id": "r1"}"#, None),
            (r#"[{"run_id": "r1"}]"#, None),
            (r#"{"run_id": 7}"#, None),
            (r#"{"run_id": ""}"#, None),
            (r#"{"run_id": "r 1"}"#, None),
            (r#"{"run_id": ["r1"]}"#, None),
            (r#"{"run_id": "r1", "metrics": [{"model_id": "m"}]}"#, None),
            (r#"{"run_id": "r1", "metrics": [{"modelId": "m"}]}"#, None),
            (r#"{"run_id": "r1", "x": "\u0072un_id"}"#, None),
            (r#"{"run_id": "r1", "x": "\n"}"#, None),
            (r#"{"run_id": "r1", "x": "é"}"#, None),
            (r#"{"run_id": "r1", "tags": [{"key": "Hokusai.owner"}]}"#, None),
            (r#"{"run_id": "r1", "value": "u", "tags": [{"key": "hoku HOKUSAI.owner"}]}"#, None),
            (r#"{"run_id": "r1", "x": "hokus", "u": "mlflow.use"}"#, Some("r1")),
            (r#"{"run_id": "r1", "tags": [{"key": "HOKUSAI.owner"}]}"#, None),
            (
                r#"{"run_id": "r1", "metrics": [{"key": "running", "value": 1}, {"key": "model/seed"}]}"#,
                Some("r1"),
            ),
            (r#"{"run_id": "r1", "metrics": [{"key": "run_id", "value": 1}]}"#, None),
            (r#"{"my_run_id": "r1"}"#, None),
            (r#"{"my_run_id": "r2", "run_id": "r1"}"#, Some("r1")),
            (r#"{"run_id": "r1", "tags": [{"key": "MLflow.user", "value": "alice"}]}"#, None),
            ("{\"run_id\": \"r1\", \"x\": \"\0\"}", None),
            ("{\"run_id\": \"r1\", \"tags\": [{\"key\": \"hokus\x7fai.owner\"}]}", None),
            (r#""{\"run_id\": \"r1\"}""#, None),
            ("", None),
        ] {
            let found = log_batch().at_a_glance(body.as_bytes());
            assert_eq!(found.as_ref().map(|named| &*named[0].id), run, "{body}");
        }
    }

    #[test]
    fn any_last_letter_will_do_if_all_fields_have_it() {
        for (column, body, run) in [
            ("run body.path, model body.branch | none", r#"{"path": "r1", "a": "b"}"#, Some("r1")),
            ("run body.path, model body.branch | none", r#"{"path": "r1", "branch": "b"}"#, None),
            ("run body.path, model body.branch | none", r#"{"path": "r1", "key": "hokusai."}"#, None),
            ("run body.run_id, model body.name | none", r#"{"run_id": "r1"}"#, None),
        ] {
            let found = Subjects::read(column, "/a").unwrap().unwrap().at_a_glance(body.as_bytes());
            assert_eq!(found.as_ref().map(|named| &*named[0].id), run, "{column}: {body}");
        }
    }

    #[test]
    fn only_rows_about_a_run_in_the_body_are_read_so() {
        for column in [
            "experiment body.run_id",
            "run query.run_id",
            "run body.a.run_id",
            "run body.run_id | none",
            "free",
        ] {
            let subjects = Subjects::read(column, "/a").unwrap().unwrap();
            assert_eq!(subjects.at_a_glance(br#"{"run_id": "r1", "a": 1}"#), None, "{column}");
        }
    }

    /// Whichever of two fields with one name counts.
    #[test]
    fn a_glance_finds_what_parsing_finds() {
        let words = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "1",
            "\"run_id\"",
            "\"runId\"",
            "\"run_uuid\"",
            "\"model_id\"",
            "\"my_run_id\"",
            "\"running\"",
            "\"metrics\"",
            "\"a\"",
            "\"r1\"",
            "\"r2\"",
            "\\",
            "\"run_id\": \"r1\"",
            "\"run_uuid\": \"r2\"",
            "\"metrics\": [{\"a\": 1}]",
            "\"metrics\": [{\"model_id\": \"r2\"}]",
            "\"run_id\": null",
        ];
        let (subjects, mut seed, mut found) = (log_batch(), 7_u64, 0);
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        for _ in 0..200_000 {
            let mut body: Vec<_> = (0..random(5)).map(|_| words[random(words.len())]).collect();
            if random(4) > 0 {
                body = vec!["{", body.join(",").leak(), "}"];
            }
            let body = body.concat();
            let Some(glanced) = subjects.at_a_glance(body.as_bytes()) else { continue };
            let Ok(value) = serde_json::from_str(&body) else { continue };
            let headers = HeaderMap::new();
            let sources = Sources { path: "/log-batch", query: None, headers: &headers, body: Some(&value) };
            assert_eq!(subjects.named(sources), Ok(glanced), "{body}");
            found += 1;
        }
        assert!(found > 1000, "{found}");
    }
}
