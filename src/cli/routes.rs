//! `routes`: every route that is forwarded, its class, and the scopes that allow it.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    policy::scopes,
    resources,
    routing::{Reach, RouteTable, Rule},
    settings::{Problems, Scope, Settings},
};

#[derive(Debug, Args)]
pub(super) struct Routes {
    #[command(flatten)]
    config: super::Config,
    /// How they are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

impl Routes {
    pub(super) fn run(self) -> ExitCode {
        let table = match self.table() {
            Ok(table) => table,
            Err(problems) => return super::bad_settings(&problems),
        };
        let rules = table.rules().iter().map(AsRef::as_ref);
        let text = match self.format {
            Format::Text => rules.map(line).collect(),
            Format::Json => format!("{:#}\n", Value::from_iter(rules.map(describe))),
        };
        // A reader that has seen enough, such as `head`, is no error.
        let _ = io::stdout().write_all(text.as_bytes());
        ExitCode::SUCCESS
    }

    /// Nothing but the routes' own setting has to be right.
    fn table(&self) -> Result<RouteTable, Problems> {
        let more = Settings::load_routes_file(self.config.config.as_deref(), super::environment())?;
        RouteTable::open(more.as_deref()).map_err(|error| resources::bad_routes(error).into())
    }
}

fn scopes_of(rule: &Rule) -> Vec<&'static str> {
    scopes::that_allow(rule.class).into_iter().map(Scope::word).collect()
}

fn line(rule: &Rule) -> String {
    let (class, scopes) = (rule.class.word(), scopes_of(rule).join(" "));
    format!("{:<6} {:<75} {class:<14} {scopes}\n", rule.method.as_str(), rule.pattern)
}

fn describe(rule: &Rule) -> Value {
    json!({
        "method": rule.method.as_str(),
        "path": rule.pattern,
        "class": rule.class.word(),
        "reach": match rule.reach {
            Reach::Workspace => "workspace",
            Reach::EveryWorkspace => "every workspace",
            Reach::PastGateway => "direct",
        },
        "scopes": scopes_of(rule),
    })
}
