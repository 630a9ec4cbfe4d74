//! The parameters of a row: those that pass, and those that change the class or reach of the request.

use std::sync::Arc;

use url::form_urlencoded;

use super::{Reach, RouteError, Rule};
use crate::vocabulary::RouteClass;

/// A parameter that a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub condition: Option<Condition>,
}

/// The effect of a parameter's value on the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The only value without an effect. MLflow compares with another value, and may read several texts as that one.
    pub unless: String,
    pub effect: Effect,
    /// The rule with the effect.
    pub rule: Arc<Rule>,
}

/// The class or reach that replaces the row's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Class(RouteClass),
    Reach(Reach),
}

impl Effect {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        let class = RouteClass::from_word(word).map(Self::Class);
        class.or_else(|| Reach::from_word(word).map(Self::Reach))
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Class(class) => class.word(),
            Self::Reach(reach) => reach.word(),
        }
    }
}

impl Parameter {
    /// As in a row: `?name` or `?name=value:word`.
    pub fn words(&self) -> String {
        let condition = self.condition.as_ref();
        let condition =
            condition.map_or_else(String::new, |it| format!("={}:{}", it.unless, it.effect.word()));
        format!("?{}{condition}", self.name)
    }
}

/// The rule for a query: the row's own, or that of a condition. Names and values are decoded as MLflow does it (werkzeug,
/// `Request.args`), and each value of a repeated name counts.
pub(super) fn rule_for_query<'a>(rule: &'a Arc<Rule>, query: &str) -> Result<&'a Arc<Rule>, RouteError> {
    let mut result = rule;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let parameter = rule.parameters.iter().find(|parameter| parameter.name == name);
        let parameter = parameter.ok_or(RouteError::UnknownParameter)?;
        if let Some(condition) = parameter.condition.as_ref().filter(|it| it.unless != value) {
            result = &condition.rule;
        }
    }
    Ok(result)
}
