//! `keys list`: the table of keys.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::scopes::ScopeWarnings;
use crate::{
    auth::{
        Workspace,
        key_file::{
            Record,
            last_use::{self, LastUses},
        },
    },
    cli::format::{Format, print, print_json, print_message},
    redaction::without_keys,
    settings::AuthKeyFile,
};

/// An empty column.
const NONE: &str = "-";
/// The column of an empty list.
const NOTHING: &str = "none";

pub(super) fn show(
    records: &[Record],
    file: &AuthKeyFile,
    warnings: &ScopeWarnings,
    format: Format,
) -> ExitCode {
    let uses = last_uses(file);
    match format {
        Format::Text => {
            print(&table(records, &uses));
            for record in records {
                for warning in warnings.of(record) {
                    print_message(format_args!("note: {}: {}", shown(&record.id), shown(&warning)));
                }
            }
        }
        Format::Json => print_json(&records.iter().map(|record| describe(record, &uses, warnings)).collect()),
    }
    ExitCode::SUCCESS
}

/// A key in a few words.
pub(super) fn brief(record: &Record) -> String {
    format!("{} of {}, {}", shown(&record.id), shown(&record.user), words(state(record)))
}

/// An unreadable file of last uses only empties its column.
fn last_uses(file: &AuthKeyFile) -> LastUses {
    let Some(path) = file.last_used.file(&file.path) else { return LastUses::new() };
    last_use::read(&path).unwrap_or_else(|error| {
        print_message(format_args!("the last uses are unknown: {}: {error}", path.display()));
        LastUses::new()
    })
}

fn table(records: &[Record], uses: &LastUses) -> String {
    let mut table = line([
        "id",
        "user",
        "state",
        "created",
        "last used",
        "per hour",
        "workspace",
        "models",
        "experiments",
        "scopes",
        "note",
    ]);
    for record in records {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        table += &line([
            &*shown(&record.id),
            &*shown(&record.user),
            &*words(state(record)),
            &*record.created_at.to_string(),
            &*or_none(uses.get(&record.id).map(|at| at.strftime("%Y-%m-%dT%H:%MZ").to_string())),
            &*or_none(record.rate_limit_per_hour.map(|limit| limit.to_string())),
            record.workspace.as_ref().map_or(NONE, Workspace::as_str),
            &*or_none(record.models.as_deref().map(comma_list)),
            &*or_none(record.experiments.as_deref().map(comma_list)),
            &*or_none(record.scopes.as_ref().map(|scopes| shown(&scopes.join(",")))),
            &*or_none(record.note.as_deref().map(shown)),
        ]);
    }
    table
}

fn line(
    [id, user, state, created, used, limit, workspace, models, experiments, scopes, note]: [&str; 11],
) -> String {
    let line = format!(
        "{id:<20} {user:<24} {state:<32} {created:<21} {used:<18} {limit:<9} {workspace:<16} {models:<16} {experiments:<16} {scopes:<36} {note}"
    );
    format!("{}\n", line.trim_end())
}

fn comma_list(patterns: &[String]) -> String {
    if patterns.is_empty() { NOTHING.to_owned() } else { shown(&patterns.join(",")) }
}

fn describe(record: &Record, uses: &LastUses, warnings: &ScopeWarnings) -> Value {
    let patterns =
        |patterns: &[String]| patterns.iter().map(|pattern| without_keys(pattern)).collect::<Value>();
    json!({
        "id": record.id,
        "user": record.user,
        "state": state(record).0,
        "created_at": record.created_at.to_string(),
        "expires_at": record.expires_at.map(|at| at.to_string()),
        "revoked_at": record.revoked_at.map(|at| at.to_string()),
        "last_used_at": uses.get(&record.id).map(|at| at.to_string()),
        "rate_limit_per_hour": record.rate_limit_per_hour,
        "concurrent": record.concurrent,
        "creates_per_hour": record.creates_per_hour,
        "workspace": record.workspace.as_ref().map(Workspace::as_str),
        "models": record.models.as_deref().map(patterns),
        "experiments": record.experiments.as_deref().map(patterns),
        "scopes": record.scopes,
        "warnings": warnings.of(record),
        "note": record.note.as_deref().map(without_keys),
    })
}

/// Whether the key works, and since or until when.
fn state(record: &Record) -> (&'static str, Option<Timestamp>) {
    let now = Timestamp::now();
    let revoked = record.revoked_at.filter(|at| *at <= now);
    match (revoked, record.ended_at(now)) {
        (Some(at), _) => ("revoked", Some(at)),
        (None, Some(at)) => ("expired", Some(at)),
        (None, None) => ("active", [record.revoked_at, record.expires_at].into_iter().flatten().min()),
    }
}

fn words((state, at): (&str, Option<Timestamp>)) -> String {
    match (state, at) {
        ("active", Some(at)) => format!("until {at}"),
        (state, Some(at)) => format!("{state} {at}"),
        (state, None) => state.to_owned(),
    }
}

/// A text of the file on one line, without a key: people may edit the file.
fn shown(text: &str) -> String {
    without_keys(text).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
