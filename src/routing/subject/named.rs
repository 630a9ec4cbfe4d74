//! Reads the names of a request's subjects, as MLflow does: from its path, its query, its headers and its JSON.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use serde_json::Value;
use url::form_urlencoded;

use super::{Field, ITSELF, Kind, PathName, Place, Subject, Subjects};

/// The most things that a request may name: each is looked up. As many as there are spans in a batch of OpenTelemetry's exporters.
pub(crate) const MAX_NAMED: usize = 512;

/// A thing that a request changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub kind: Kind,
    /// The name of the field, parameter or header that names it.
    pub field: String,
    /// As MLflow reads it.
    pub id: String,
    /// Whether it is one of a list: MLflow takes lists with ids of nothing.
    pub is_listed: bool,
}

/// Why a request does not name one subject; the end of a sentence that begins with "the request".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    #[error("names two things: {0} has different values")]
    Ambiguous(String),
    #[error("has no {0}, by which MLflow knows what to change")]
    Missing(String),
    #[error("has a {0} that is not a text, or not an id as MLflow writes it")]
    NotAName(String),
    #[error("names more than {} things to change", MAX_NAMED)]
    TooMany,
}

/// Where the names of a request are.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The path at MLflow, decoded once.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// `None`: no body, or one that is not JSON.
    pub body: Option<&'a Value>,
}

impl Subjects {
    /// Every subject that a request names, but for those of spans and artifacts, which have readers of their own.
    ///
    /// # Errors
    /// A name with two values, one that is missing, or one that is none.
    pub fn named(&self, sources: Sources<'_>) -> Result<Vec<Named>, SubjectError> {
        let Self::Named(subjects) = self else { return Ok(Vec::new()) };
        let mut named = Vec::new();
        for subject in subjects {
            subject.read_from(sources, &mut named)?;
        }
        Ok(named)
    }

    /// Those of them that can be read. Of a name with two values, it has the first.
    pub(crate) fn readable(&self, sources: Sources<'_>) -> Vec<Named> {
        let Self::Named(subjects) = self else { return Vec::new() };
        let mut named = Vec::new();
        for subject in subjects {
            let _unreadable = subject.read_from(sources, &mut named);
        }
        named
    }
}

impl Subject {
    fn read_from(&self, sources: Sources<'_>, named: &mut Vec<Named>) -> Result<(), SubjectError> {
        if self.places.iter().any(|place| matches!(place, Place::Artifact | Place::SpanTraceIds)) {
            return Ok(());
        }
        let (begin, is_list) = (named.len(), self.places.iter().any(Place::is_list));
        for place in &self.places {
            for id in place.values(sources)? {
                let is_known = named[begin..].iter().any(|known| known.id == id);
                if !is_known && named.len() > begin && !is_list {
                    return Err(SubjectError::Ambiguous(self.fields()));
                }
                if !is_known {
                    if named.len() == MAX_NAMED {
                        return Err(SubjectError::TooMany);
                    }
                    if !self.kind.may_be(&id) {
                        return Err(SubjectError::NotAName(place.field()));
                    }
                    let (field, is_listed) = (place.field(), place.is_list());
                    named.push(Named { kind: self.kind, field, id: id.into_owned(), is_listed });
                }
            }
        }
        if named.len() == begin && !self.is_optional {
            return Err(SubjectError::Missing(self.fields()));
        }
        Ok(())
    }

    fn fields(&self) -> String {
        self.places.iter().map(Place::field).collect::<Vec<_>>().join(" or ")
    }
}

impl Place {
    fn is_list(&self) -> bool {
        match self {
            Self::Body(fields) => fields.iter().any(|field| field.is_list),
            Self::Parts(parts) => parts.iter().any(Self::is_list),
            _ => false,
        }
    }

    /// The last of its names.
    fn field(&self) -> String {
        match self {
            Self::Path(PathName { name, .. }) | Self::Query(name) | Self::Header(name) => name.clone(),
            Self::Body(fields) => fields.last().map(|field| field.name.clone()).unwrap_or_default(),
            Self::Parts(parts) => parts.last().map(Self::field).unwrap_or_default(),
            Self::Artifact => "artifact_path".to_owned(),
            Self::Itself => ITSELF.to_owned(),
            Self::SpanTraceIds => "trace_id".to_owned(),
        }
    }

    /// The values at this place. What is absent, null or empty is no value, as in protobuf.
    fn values<'a>(&self, sources: Sources<'a>) -> Result<Vec<Cow<'a, str>>, SubjectError> {
        let mut values = match self {
            Self::Path(name) => name.in_path(sources.path).map(Cow::Borrowed).into_iter().collect(),
            Self::Query(wanted) => form_urlencoded::parse(sources.query.unwrap_or_default().as_bytes())
                .filter(|(name, _)| name == wanted)
                .map(|(_, value)| value)
                .collect(),
            Self::Header(name) => {
                let read = |value: &'a actix_web::http::header::HeaderValue| value.to_str().ok();
                let texts = sources.headers.get_all(name.as_str()).map(read);
                let texts: Option<Vec<_>> =
                    texts.map(|text| text.map(|text| Cow::Borrowed(text.trim()))).collect();
                texts.ok_or_else(|| SubjectError::NotAName(name.clone()))?
            }
            Self::Body(fields) => {
                let mut found = Vec::new();
                if let Some(body) = sources.body {
                    in_json(body, fields, &mut found)?;
                }
                found
            }
            Self::Parts(parts) => return joined(parts, sources),
            Self::Itself => return Ok(vec![Cow::Borrowed("")]),
            Self::Artifact | Self::SpanTraceIds => Vec::new(),
        };
        values.retain(|value| !value.is_empty());
        Ok(values)
    }
}

/// One name of several parts: each part has one value, or none, but for the last.
fn joined<'a>(parts: &[Place], sources: Sources<'a>) -> Result<Vec<Cow<'a, str>>, SubjectError> {
    let Some((last, before)) = parts.split_last() else { return Ok(Vec::new()) };
    let mut prefix = String::new();
    for part in before {
        let values = part.values(sources)?;
        if let [first, rest @ ..] = &values[..] {
            if rest.iter().any(|other| other != first) {
                return Err(SubjectError::Ambiguous(part.field()));
            }
            prefix.push_str(first);
            prefix.push('/');
        }
    }
    let values = last.values(sources)?.into_iter();
    Ok(values
        .map(|value| if prefix.is_empty() { value } else { format!("{prefix}{value}").into() })
        .collect())
}

/// Collects the values of a field, in either of protobuf's spellings; the body has it once (`policy::json`).
fn in_json<'a>(
    value: &'a Value,
    fields: &[Field],
    found: &mut Vec<Cow<'a, str>>,
) -> Result<(), SubjectError> {
    let Some((field, rest)) = fields.split_first() else {
        found.push(match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            // MLflow goes on with the fields before one of another type (mlflow/server/handlers.py, `_get_request_message`).
            _ => return Err(SubjectError::NotAName(String::new())),
        });
        return Ok(());
    };
    let Some(object) = value.as_object() else { return Ok(()) };
    let Some(value) = object.get(&field.name).or_else(|| object.get(&field.json_name)) else { return Ok(()) };
    let named = |error| match error {
        SubjectError::NotAName(name) if name.is_empty() => SubjectError::NotAName(field.name.clone()),
        error => error,
    };
    match value {
        Value::Null => Ok(()),
        Value::Array(items) if field.is_list => {
            items.iter().try_for_each(|item| in_json(item, rest, found)).map_err(named)
        }
        value => in_json(value, rest, found).map_err(named),
    }
}

impl Kind {
    /// Whether a text can be such an id, written as MLflow writes it: it takes `" 2"` and `"02"` for the experiment 2, and some of its
    /// databases one case for the other.
    pub(crate) fn may_be(self, id: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        match self {
            // Some databases fail at a larger number.
            Self::Experiment => id.parse::<i64>().is_ok_and(|number| number >= 0 && number.to_string() == id),
            Self::Run
            | Self::LoggedModel
            | Self::Trace
            | Self::Dataset
            | Self::Issue
            | Self::LabelSchema
            | Self::ReviewQueue => id.bytes().all(plain),
            _ => true,
        }
    }
}

impl PathName {
    /// The name in a path.
    fn in_path<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.splitn(self.slashes + 1, '/').nth(self.slashes)?;
        let segment = if self.is_rest { rest } else { rest.split('/').next()? };
        segment.get(self.before..)
    }
}

/// A field's name as protobuf writes it in JSON (google/protobuf/descriptor.cc, `ToJsonName`).
pub(crate) fn json_name(name: &str) -> String {
    let mut json = String::with_capacity(name.len());
    let mut capitalize = false;
    for character in name.chars() {
        match character {
            '_' => capitalize = true,
            _ if capitalize => {
                json.push(character.to_ascii_uppercase());
                capitalize = false;
            }
            _ => json.push(character),
        }
    }
    json
}
