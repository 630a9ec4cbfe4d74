//! What a row says of a query: the parameters that pass, and those by which the route does something else.

use std::sync::Arc;

use url::form_urlencoded;

use super::{Reach, RouteError, Rule};
use crate::vocabulary::RouteClass;

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
    pub to: Becomes,
    pub rule: Arc<Rule>,
}

/// What a parameter makes of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    Class(RouteClass),
    Reach(Reach),
}

impl Becomes {
    pub(super) fn from_words(words: &str) -> Option<Self> {
        let class = RouteClass::from_word(words).map(Self::Class);
        class.or_else(|| Reach::from_words(words).map(Self::Reach))
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Class(class) => class.word(),
            Self::Reach(reach) => reach.words(),
        }
    }
}

impl Parameter {
    /// As a row says it: `?name`, or `?name=value:word`.
    pub fn words(&self) -> String {
        let turn = self.turn.as_ref();
        let turn = turn.map_or_else(String::new, |turn| format!("={}:{}", turn.unless, turn.to.words()));
        format!("?{}{turn}", self.name)
    }
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
