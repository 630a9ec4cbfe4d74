//! Parses the subject column.

use super::{FREE, Field, ITSELF, Kind, LIST, NONE, PathName, Place, Subject, Subjects, json_name};
use crate::routing::row::Fault;

const KIND: Fault = "unknown word after the path or kind of subject: known kinds are artifact, dataset, experiment, experiment_name, \
                     issue, label_schema, location, logged_model, mcp_server, model, review_queue, run, server, skill and trace";
const PLACE: Fault = "a subject's place is path.NAME, query.NAME, header.NAME, body.FIELD or spans.trace_id; for an artifact, path; for the server, itself";
const IN_PATH: Fault = "a subject's place is path.NAME, and the path has no {NAME} at the end of a segment";

impl Subjects {
    /// Parses the column: `free`, or subjects with commas between. `None`: there is no column.
    pub(in crate::routing) fn read(column: &str, pattern: &str) -> Result<Option<Self>, Fault> {
        match column {
            "" => return Ok(None),
            FREE => return Ok(Some(Self::Free)),
            _ => {}
        }
        let mut subjects: Vec<Subject> = Vec::new();
        for text in column.split(',').map(str::trim) {
            let (kind, places) = match text.split_once(' ') {
                Some((word, places)) if !places.starts_with('|') => (Kind::from_word(word), places),
                // As in `model body.name, body.new_name`.
                _ => (subjects.last().map(|before| before.kind), text),
            };
            subjects.push(Subject::read(kind.ok_or(KIND)?, places, pattern)?);
        }
        Ok(Some(Self::Named(subjects)))
    }
}

impl Subject {
    fn read(kind: Kind, places: &str, pattern: &str) -> Result<Self, Fault> {
        let mut words: Vec<_> = places.split('|').map(str::trim).collect();
        let is_optional = words.len() > 1 && words.last() == Some(&NONE);
        words.truncate(words.len() - usize::from(is_optional));
        let places =
            words.into_iter().map(|word| Place::read(word, pattern)).collect::<Result<Vec<_>, _>>()?;
        for (place, its_kind) in [(Place::Artifact, Kind::Artifact), (Place::Itself, Kind::Server)] {
            if places.contains(&place) != (kind == its_kind) {
                return Err(PLACE);
            }
        }
        Ok(Self { kind, places, is_optional })
    }
}

impl Place {
    fn read(text: &str, pattern: &str) -> Result<Self, Fault> {
        if text.contains('/') {
            let parts = text.split('/').map(|part| Self::read(part, pattern));
            return parts.collect::<Result<_, _>>().map(Self::Parts);
        }
        match text {
            "path" => return Ok(Self::Artifact),
            ITSELF => return Ok(Self::Itself),
            _ => {}
        }
        let (base, name) = text.split_once('.').ok_or(PLACE)?;
        let is_name = |name: &str, more: u8| {
            let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == more;
            !name.is_empty() && name.bytes().all(is_good)
        };
        match base {
            "path" if is_name(name, b'_') => PathName::find(name, pattern).ok_or(IN_PATH).map(Self::Path),
            "query" if is_name(name, b'_') => Ok(Self::Query(name.to_owned())),
            "header" if is_name(name, b'-') => Ok(Self::Header(name.to_owned())),
            "spans" if name == "trace_id" => Ok(Self::SpanTraceIds),
            "body" => {
                let fields = name.split('.').map(Field::read);
                let are_names = |fields: &Vec<Field>| fields.iter().all(|field| is_name(&field.name, b'_'));
                Some(fields.collect()).filter(are_names).map(Self::Body).ok_or(PLACE)
            }
            _ => Err(PLACE),
        }
    }
}

impl PathName {
    fn find(name: &str, pattern: &str) -> Option<Self> {
        let at = |written: &str| {
            let (before, behind) = pattern.split_once(written)?;
            let (_, before_name) = before.rsplit_once('/')?;
            (behind.is_empty() || behind.starts_with('/')).then(|| Self {
                name: name.to_owned(),
                slashes: before.matches('/').count(),
                before: before_name.len(),
                is_rest: written.contains('*'),
            })
        };
        at(&format!("{{{name}}}")).or_else(|| at(&format!("{{*{name}}}")))
    }
}

impl Field {
    fn read(text: &str) -> Self {
        let list = text.strip_suffix(LIST);
        let name = list.unwrap_or(text);
        Self { name: name.to_owned(), json_name: json_name(name), is_list: list.is_some() }
    }
}
