//! The layers that settings are read from, flattened to dotted keys.

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

/// The merging library's own words would quote names and values.
const MERGE: &str = "the settings file and the variables HOKUSAI__… cannot be read together";

/// The defaults, compiled in; their comments are the reference of every key.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Variables of existing deployments and the keys that they set. The `HOKUSAI__` variable wins over its elder.
const ELDER_VARIABLES: [(&str, &str); 4] = [
    ("MLFLOW_SERVER_URL", "mlflow.url"),
    ("HOKUSAI_AUTH_SERVICE_URL", "auth.service.url"),
    ("AUTH_SERVICE_ID", "auth.service.service_id"),
    ("REDIS_URL", "redis.url"),
];

/// The variables that set `key`, as a person would write them.
pub(super) fn variables(key: &str) -> Vec<String> {
    let elders =
        ELDER_VARIABLES.iter().filter(|(_, sets)| *sets == key).map(|(elder, _)| (*elder).to_owned());
    [variable(key)].into_iter().chain(elders).collect()
}

pub(super) fn variable(key: &str) -> String {
    format!("HOKUSAI__{}", key.replace('.', "__").to_uppercase())
}

/// All layers in one.
pub(super) struct Layers {
    /// Every key that any layer sets, with the value of the last one.
    pub(super) values: BTreeMap<String, Value>,
    pub(super) warnings: Vec<Problem>,
    /// Variables that begin like ours, and that no layer reads.
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
    // An empty variable is one that is not set, as compose files write it.
    let mut environment: HashMap<String, String> =
        environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut warnings = Vec::new();
    for (elder, key) in ELDER_VARIABLES {
        let Some(value) = environment.remove(elder) else { continue };
        let in_force = environment.entry(variable(key)).or_insert_with(|| value.clone());
        if *in_force != value {
            warnings.push(Problem {
                code: Code::SetTwice,
                key: key.to_owned(),
                found: Some(format!("two values in the environment; that of {} is in force", variable(key))),
                what: format!("is set by {elder} too, to something else"),
                fix: "one of the two variables".to_owned(),
            });
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

    let merged = layers.build().map_err(|_| Problem {
        code: Code::UnreadableSettings,
        key: String::new(),
        found: None,
        what: MERGE.to_owned(),
        fix: "a TOML file that can be read, like config/default.toml".to_owned(),
    })?;
    let mut values = BTreeMap::new();
    flatten(None, merged.cache, &mut values);
    Ok(Layers { values, warnings, unread })
}

/// A file's text: read once, for its name may lead elsewhere a moment later, and a pipe is empty then. Says where it is not
/// TOML: the parser's own words would quote the line, and with it a secret.
fn well_formed(path: &Path) -> Result<String, Problem> {
    let problem = |what: String| Problem {
        code: Code::UnreadableSettings,
        key: String::new(),
        found: None,
        what: format!("{}: {what}", path.display()),
        fix: "a TOML file that can be read, like config/default.toml".to_owned(),
    };
    let text = trusted_file::read_text(path).map_err(|error| {
        let told = problem(error.to_string());
        Problem { code: error.code(), fix: error.fix(path).unwrap_or_else(|| told.fix.clone()), ..told }
    })?;
    match text.parse::<toml::Table>() {
        Ok(_) => Ok(text),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let fault = ParseFault::at(&text, start, "is no TOML, or a name that is there already");
            Err(problem(fault.to_string()))
        }
    }
}

fn flatten(prefix: Option<&str>, value: Value, flat: &mut BTreeMap<String, Value>) {
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
