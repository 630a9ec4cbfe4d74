//! The layers of settings, flattened to dotted keys.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use config::{Config, Environment, File, FileFormat, Value, ValueKind};

use super::{
    problem::{Problem, Problems},
    unread,
};
use crate::{code::Code, parse_fault::ParseFault, trusted_file};

/// The config crate's own messages would quote names and values.
const MERGE: &str = "the settings file and the variables HOKUSAI__… cannot be read together";
/// What to write instead of a file that cannot be read.
const FORM: &str = "a TOML file that can be read, like config/default.toml";

/// The defaults, compiled in; their comments are the reference of every key.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Variables of older deployments and their keys. The `HOKUSAI__` variable wins.
const LEGACY_VARIABLES: [(&str, &str); 4] = [
    ("MLFLOW_SERVER_URL", "mlflow.url"),
    ("HOKUSAI_AUTH_SERVICE_URL", "auth.service.url"),
    ("AUTH_SERVICE_ID", "auth.service.service_id"),
    ("REDIS_URL", "redis.url"),
];

/// The environment variables for `key`.
pub(super) fn variables(key: &str) -> Vec<String> {
    let legacy = LEGACY_VARIABLES.iter().filter(|(_, sets)| *sets == key).map(|(name, _)| (*name).to_owned());
    [variable(key)].into_iter().chain(legacy).collect()
}

pub(super) fn variable(key: &str) -> String {
    format!("HOKUSAI__{}", key.replace('.', "__").to_uppercase())
}

/// The merged layers.
pub(super) struct Layers {
    /// Every key, with the value of its last layer.
    pub(super) values: BTreeMap<String, Value>,
    pub(super) warnings: Vec<Problem>,
    /// Variables that begin with HOKUSAI_ and are not read.
    pub(super) unread: Vec<String>,
}

/// Reads every layer.
///
/// # Errors
/// A file that is missing or is not TOML.
pub(super) fn collect(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Layers, Problems> {
    // An empty variable counts as not set, as in compose files.
    let mut environment: HashMap<String, String> =
        environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut warnings = Vec::new();
    for (legacy, key) in LEGACY_VARIABLES {
        let Some(value) = environment.remove(legacy) else { continue };
        let in_force = environment.entry(variable(key)).or_insert_with(|| value.clone());
        if *in_force != value {
            let what = format!("is also set by {legacy}, to another value");
            let found = format!("two values in the environment; that of {} is in force", variable(key));
            let fix = "one of the two variables";
            warnings.push(Problem::new(Code::DuplicateSetting, key, what, fix).with_found(found));
        }
    }

    let unread = unread::names(&environment);
    let mut layers = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(path) = file {
        layers = layers.add_source(File::from_str(&well_formed(path)?, FileFormat::Toml));
    }
    layers = layers.add_source(
        Environment::with_prefix("HOKUSAI").prefix_separator("__").separator("__").source(Some(environment)),
    );

    let merged = layers.build().map_err(|_| Problem::new(Code::UnreadableSettings, "", MERGE, FORM))?;
    let mut values = BTreeMap::new();
    flatten(None, merged.cache, &mut values);
    Ok(Layers { values, warnings, unread })
}

/// The text of a file. It is read once: the path may lead elsewhere a moment later, and a pipe is then empty. Errors name the
/// position only: the parser's own messages would quote the line, and with it a secret.
fn well_formed(path: &Path) -> Result<String, Problem> {
    let file = path.display();
    let text = trusted_file::read_text(path).map_err(|error| {
        let fix = error.fix(path).unwrap_or_else(|| FORM.to_owned());
        Problem::new(error.code(), "", format!("{file}: {error}"), fix)
    })?;
    if let Err(error) = text.parse::<toml::Table>() {
        let start = error.span().map_or(0, |span| span.start);
        let fault = ParseFault::at(&text, start, "not TOML, or a name that is there twice");
        return Err(Problem::new(Code::UnreadableSettings, "", format!("{file}: {fault}"), FORM));
    }
    Ok(text)
}

pub(super) fn flatten(prefix: Option<&str>, value: Value, flat: &mut BTreeMap<String, Value>) {
    match value.kind {
        ValueKind::Table(table) => {
            for (name, value) in table {
                let key = prefix.map_or_else(|| name.clone(), |prefix| format!("{prefix}.{name}"));
                flatten(Some(&key), value, flat);
            }
        }
        _ => {
            flat.insert(prefix.unwrap_or_default().to_owned(), value);
        }
    }
}
