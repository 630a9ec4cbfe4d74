//! `routes`: every route that is forwarded, its class, and the scopes that allow it.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure,
    format::{Output, print, print_json},
};
use crate::{
    policy::scopes,
    resources,
    routing::{Artifact, Condition, Parameter, Reach, RouteTable, Rule, Subjects, Tagging},
    settings::{Mlflow, Policy, Problems, Promotion, Scope, Settings},
};

#[derive(Debug, Args)]
pub(super) struct Routes {
    #[command(flatten)]
    config: super::Config,
    #[command(flatten)]
    output: Output,
}

impl Routes {
    /// Only the settings that say which routes there are and what they require have to be right.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.config.as_deref();
        let (more, promotion) = Settings::load_section(config, super::environment(), |reader| {
            let read = (Mlflow::read_routes_file(reader), Policy::read_promotion(reader));
            Ok((read.0?, read.1?))
        })?;
        let table = RouteTable::open(more.as_deref())
            .map_err(|error| Problems::from(resources::bad_routes(error)))?;
        let rules = table.rules().iter().map(AsRef::as_ref);
        if self.output.is_json() {
            print_json(&Value::from_iter(rules.map(|rule| describe(rule, promotion))));
        } else {
            print(&rules.map(|rule| line(rule, promotion)).collect::<String>());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn scopes_of(rule: &Rule, promotion: Promotion) -> Vec<&'static str> {
    scopes::that_allow(rule.class, promotion).into_iter().map(Scope::word).collect()
}

fn line(rule: &Rule, promotion: Promotion) -> String {
    let (class, scopes) = (rule.class.word(), scopes_of(rule, promotion).join(" "));
    let reach = (rule.reach != Reach::Workspace).then(|| rule.reach.word());
    let words = rule.words();
    let more = reach.into_iter().chain([words.as_str()]).filter(|words| !words.is_empty());
    let more: String = more.map(|words| format!("; {words}")).collect();
    format!("{:<6} {:<75} {class:<16} {scopes}{more}\n", rule.method.as_str(), rule.pattern)
}

fn describe_parameter(parameter: &Parameter) -> Value {
    let turn = parameter.condition.as_ref().map(|condition| {
        let Condition { unless, rule, .. } = condition;
        json!({ "unless": unless, "class": rule.class.word(), "reach": rule.reach.word() })
    });
    json!({ "name": parameter.name, "turn": turn })
}

fn describe(rule: &Rule, promotion: Promotion) -> Value {
    json!({
        "method": rule.method.as_str(),
        "path": &*rule.pattern,
        "class": rule.class.word(),
        "reach": rule.reach.word(),
        "changes": rule.changes(),
        "subject": rule.subjects.as_ref().map(Subjects::words),
        "tags": rule.tagging.map(Tagging::words),
        "parameters": rule.parameters.iter().map(describe_parameter).collect::<Vec<_>>(),
        "body": rule.body.word(),
        "artifact": rule.artifact.as_ref().map(Artifact::words),
        "name_is_data": rule.is_name_free,
        "row": rule.words(),
        "scopes": scopes_of(rule, promotion),
    })
}
