//! `routes`: every route that is forwarded, its class, and the scopes that allow it.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::format::{Output, print, print_json};
use crate::{
    policy::scopes,
    resources,
    routing::{Parameter, RouteTable, Rule, Tagging},
    settings::{Problems, Scope, Settings},
};

#[derive(Debug, Args)]
pub(super) struct Routes {
    #[command(flatten)]
    config: super::Config,
    #[command(flatten)]
    output: Output,
}

impl Routes {
    pub(super) fn run(self) -> ExitCode {
        let table = match self.table() {
            Ok(table) => table,
            Err(problems) => return super::bad_settings(&problems),
        };
        let rules = table.rules().iter().map(AsRef::as_ref);
        if self.output.is_json() {
            print_json(&Value::from_iter(rules.map(describe)));
        } else {
            print(&rules.map(line).collect::<String>());
        }
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
    let turns = rule.parameters.iter().filter_map(|parameter| Some((parameter, parameter.turn.as_ref()?)));
    let turns = turns.map(|(Parameter { name, .. }, turn)| {
        let (unless, what) = (&turn.unless, turn.rule.reach.words());
        format!("; with ?{name} other than {unless}: {}, {what}", turn.rule.class.word())
    });
    let turns: String = turns.collect();
    format!("{:<6} {:<75} {class:<14} {scopes}{turns}\n", rule.method.as_str(), rule.pattern)
}

fn describe_parameter(parameter: &Parameter) -> Value {
    let turn = parameter.turn.as_ref().map(|turn| {
        json!({ "unless": turn.unless, "class": turn.rule.class.word(), "reach": turn.rule.reach.words() })
    });
    json!({ "name": parameter.name, "turn": turn })
}

fn describe(rule: &Rule) -> Value {
    json!({
        "method": rule.method.as_str(),
        "path": rule.pattern,
        "class": rule.class.word(),
        "reach": rule.reach.words(),
        "tags": rule.tagging.map(Tagging::words),
        "parameters": rule.parameters.iter().map(describe_parameter).collect::<Vec<_>>(),
        "scopes": scopes_of(rule),
    })
}
