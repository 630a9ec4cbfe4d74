//! The run of a body that need not be parsed: a training script logs to one run again and again, in bodies of many values.
//!
//! In ASCII without escapes, a quoted name that is there once is one field in every reading of the JSON, and a name that is not
//! there is none. Whatever is not as plain as that is parsed.

use memchr::{memchr, memchr2, memchr2_iter, memchr3, memmem};

use super::{Field, Kind, Named, Place, Subject, Subjects};

/// With one of these in it, a body may have names of the gateway's own, or the author of a run. Each has one `u`, so they are found
/// by it, in one pass.
const RESERVED: [&[u8]; 2] = [b"hokusai", b"mlflow.user"];

impl Subjects {
    /// The subjects of a JSON body, where they are its run alone and nobody can read them otherwise. `None`: it is to be parsed.
    pub(crate) fn at_a_glance(&self, body: &[u8]) -> Option<Vec<Named>> {
        let Self::Named(subjects) = self else { return None };
        let [run @ Subject { kind: Kind::Run, is_optional: false, .. }, others @ ..] = &subjects[..] else {
            return None;
        };
        if !run.places.iter().all(|place| matches!(place, Place::Body(fields) if fields.len() == 1)) {
            return None;
        }
        // A zero byte makes another encoding of it (Python's json.detect_encoding); some databases take a name with 0x7f in it for one
        // without.
        let is_plain = body.is_ascii() && memchr3(b'\\', 0, 0x7f, body).is_none();
        if !is_plain || has_reserved(body) {
            return None;
        }
        for other in others {
            let is_absent =
                other.is_optional && stems(&fields(other)?).iter().all(|stem| !contains(body, stem));
            if !is_absent {
                return None;
            }
        }
        let fields = fields(run)?;
        let stems = stems(&fields);
        let mut found = stems.iter().flat_map(|stem| memmem::find_iter(body, stem));
        let position = found.next()?;
        if found.next().is_some() || !is_of_first_object(&body[..position]) {
            return None;
        }
        let (field, rest) =
            fields.iter().find_map(|field| Some((field, behind(field, &body[position..])?)))?;
        let id = text_behind(rest)?;
        let is_id = !id.is_empty() && Kind::Run.may_be(id);
        is_id.then(|| {
            let (field, id) = (field.name.clone(), id.to_owned());
            vec![Named { kind: Kind::Run, field, id, is_listed: false }]
        })
    }
}

/// The last fields of a subject's places, if all of them are in the body.
fn fields(subject: &Subject) -> Option<Vec<&Field>> {
    let mut all = Vec::with_capacity(subject.places.len());
    for place in &subject.places {
        let Place::Body(fields) = place else { return None };
        all.push(fields.last()?);
    }
    Some(all)
}

/// What the quoted spellings of fields begin with: one search finds `run_id`, `runId` and `run_uuid`.
fn stems(fields: &[&Field]) -> Vec<String> {
    let mut stems = Vec::with_capacity(fields.len());
    for Field { name, json_name, .. } in fields {
        let same = name.bytes().zip(json_name.bytes()).take_while(|(one, other)| one == other).count();
        let stem = format!("\"{}", &name[..same]);
        if !stems.contains(&stem) {
            stems.push(stem);
        }
    }
    stems
}

fn contains(body: &[u8], stem: &str) -> bool {
    memmem::find(body, stem.as_bytes()).is_some()
}

/// What is behind a field's quoted name, if the text begins with that.
fn behind<'a>(field: &Field, text: &'a [u8]) -> Option<&'a [u8]> {
    let text = text.strip_prefix(b"\"")?;
    let spellings = [&field.name, &field.json_name];
    spellings.iter().find_map(|name| text.strip_prefix(name.as_bytes())?.strip_prefix(b"\""))
}

fn has_reserved(body: &[u8]) -> bool {
    let is_here = |name: &[u8], at: usize| {
        let before = name.iter().position(|byte| *byte == b'u').unwrap_or_default();
        let found = at.checked_sub(before).and_then(|begin| body.get(begin..begin + name.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    memchr2_iter(b'u', b'U', body).any(|at| RESERVED.iter().any(|name| is_here(name, at)))
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
            (r#"{"run_id": "r1", "x": "runs"}"#, None),
            (r#"{"run_id": "r1", "x": "a run"}"#, Some("r1")),
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
