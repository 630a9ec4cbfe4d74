//! What a row says of a query: the parameters that pass, and those by which the route does something else.

use std::sync::Arc;

use url::form_urlencoded;

use super::{RouteError, Rule};

/// A parameter that a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub turn: Option<Turn>,
}

/// What becomes of a request by a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The one value that changes nothing. MLflow compares with another; whatever it may read as that one turns.
    pub unless: String,
    pub rule: Arc<Rule>,
}

/// The row by which a query is to be judged: the one that it was found by, or the one that a parameter turns it to. Names
/// and values are decoded as MLflow decodes them (werkzeug, `Request.args`), and every one of a repeated name counts.
pub(super) fn turned<'a>(rule: &'a Arc<Rule>, query: &str) -> Result<&'a Arc<Rule>, RouteError> {
    let mut judged = rule;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let parameter = rule.parameters.iter().find(|parameter| parameter.name == name);
        let parameter = parameter.ok_or(RouteError::UnknownParameter)?;
        if let Some(turn) = parameter.turn.as_ref().filter(|turn| turn.unless != value) {
            judged = &turn.rule;
        }
    }
    Ok(judged)
}
