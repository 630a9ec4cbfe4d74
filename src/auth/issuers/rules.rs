//! What a token may do: the first rule that its claims fit.

use std::{fmt, num::NonZeroU32};

use serde_json::Value;

use super::{claims::Claims, template::Template};
use crate::{
    auth::{Fence, Globs, Principal, Workspace},
    settings::{Issuer, IssuerRule},
};

/// Whom a token is of (RFC 7519 §4.1.2).
pub(super) const SUBJECT: &str = "sub";

/// The user of an issuer's tokens, and their rules.
#[derive(Debug)]
pub(super) struct Rules {
    user: Template,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    when: Vec<(String, Globs)>,
    scopes: Vec<String>,
    workspace: Option<Workspace>,
    fence: Fence,
    rate_limit_per_hour: Option<NonZeroU32>,
    concurrent: Option<NonZeroU32>,
    creates_per_hour: Option<NonZeroU32>,
}

/// Why a token that is good may do nothing. For operators: it tells what the rules want.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRule {
    #[error(
        "the claim `{0}` gives no user: it has to be there, a text or a whole number, without the text that stands behind it in `user`"
    )]
    User(String),
    #[error("no rule fits it: {}", in_order(.0))]
    Unfit(Vec<Unfit>),
}

/// The first condition of a rule that a token does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    pub claim: String,
    /// `None`: the token has no such claim.
    pub found: Option<String>,
    pub wanted: Vec<String>,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted.join(" or ");
        match &self.found {
            Some(found) => write!(f, "`{}` is {found}, and {wanted} is wanted", self.claim),
            None => write!(f, "`{}` is not there, and {wanted} is wanted", self.claim),
        }
    }
}

fn in_order(unfit: &[Unfit]) -> String {
    let numbered = (1..).zip(unfit).map(|(number, unfit)| format!("rule {number}: {unfit}"));
    numbered.collect::<Vec<_>>().join("; ")
}

/// A setting of an issuer's that cannot be used.
#[derive(Debug)]
pub(crate) struct RuleFault {
    /// Below the issuer: `user`, `rules[2].models`.
    pub(crate) key: String,
    pub(crate) what: String,
}

impl Rules {
    /// # Errors
    /// Everything in the settings that cannot be used.
    pub(super) fn compile(issuer: &Issuer) -> Result<Self, Vec<RuleFault>> {
        let mut faults = Vec::new();
        let user = Template::read(&issuer.user);
        let user =
            user.map_err(|fault| faults.push(RuleFault { key: "user".to_owned(), what: fault.to_string() }));
        let rules: Vec<_> = (1..)
            .zip(&issuer.rules)
            .filter_map(|(number, rule)| {
                Rule::compile(rule, &mut |key, what| {
                    faults.push(RuleFault { key: format!("rules[{number}].{key}"), what });
                })
            })
            .collect();
        match user {
            Ok(user) if faults.is_empty() => Ok(Self { user, rules }),
            _ => Err(faults),
        }
    }

    /// Each claim that counts, by the name that it has here; some more than once.
    pub(super) fn claims(&self) -> impl Iterator<Item = &str> {
        let of_rules = self.rules.iter().flat_map(|rule| &rule.when).map(|(claim, _)| claim.as_str());
        [SUBJECT].into_iter().chain(self.user.claims()).chain(of_rules)
    }

    /// The principal of a token with these claims, without an id and an end.
    ///
    /// # Errors
    /// What is missing for it.
    pub(super) fn principal(&self, claims: &Claims) -> Result<Principal, NoRule> {
        let (_, rule) = self.first(claims)?;
        Ok(Principal {
            user_id: Some(self.user.fill(claims).map_err(NoRule::User)?),
            key_id: None,
            scopes: Some(rule.scopes.clone()),
            is_admin: false,
            workspace: rule.workspace.clone(),
            fence: rule.fence.clone(),
            expires_at: None,
            rate_limit_per_hour: rule.rate_limit_per_hour,
            concurrent: rule.concurrent,
            creates_per_hour: rule.creates_per_hour,
        })
    }

    /// The number of the rule that decides.
    ///
    /// # Errors
    /// None fits.
    pub(super) fn number(&self, claims: &Claims) -> Result<usize, NoRule> {
        self.first(claims).map(|(number, _)| number)
    }

    fn first(&self, claims: &Claims) -> Result<(usize, &Rule), NoRule> {
        let mut unfit = Vec::new();
        let fits =
            |(_, rule): &(usize, &Rule)| rule.fits(claims).map_err(|reason| unfit.push(reason)).is_ok();
        let first = (1..).zip(&self.rules).find(fits);
        first.ok_or(NoRule::Unfit(unfit))
    }
}

impl Rule {
    fn compile(rule: &IssuerRule, fault: &mut impl FnMut(&str, String)) -> Option<Self> {
        let mut globs = |key: &str, patterns: &[String]| {
            Globs::try_from(patterns.to_vec()).map_err(|error| fault(key, error.to_string())).ok()
        };
        let when: Vec<_> = rule
            .when
            .iter()
            .map(|(claim, patterns)| Some((claim.clone(), globs(&format!("when.{claim}"), patterns)?)))
            .collect();
        let fence = |patterns: &Option<Vec<String>>| patterns.clone();
        let models = fence(&rule.models).map(|patterns| globs("models", &patterns));
        let experiments = fence(&rule.experiments).map(|patterns| globs("experiments", &patterns));
        let workspace = rule.workspace.clone().map(|name| {
            Workspace::try_from(name).map_err(|error| fault("workspace", error.to_string())).ok()
        });
        Some(Self {
            when: when.into_iter().collect::<Option<_>>()?,
            scopes: rule.scopes.iter().map(|scope| scope.word().to_owned()).collect(),
            workspace: workspace.map_or(Some(None), |name| name.map(Some))?,
            fence: Fence {
                models: models.map_or(Some(None), |globs| globs.map(Some))?,
                experiments: experiments.map_or(Some(None), |globs| globs.map(Some))?,
            },
            rate_limit_per_hour: rule.rate_limit_per_hour,
            concurrent: rule.concurrent,
            creates_per_hour: rule.creates_per_hour,
        })
    }

    fn fits(&self, claims: &Claims) -> Result<(), Unfit> {
        let unfit = self
            .when
            .iter()
            .find(|(claim, globs)| !claims.get(claim).is_some_and(|value| fits(value, globs)));
        let Some((claim, globs)) = unfit else { return Ok(()) };
        let found = claims.get(claim).map(ToString::to_string);
        Err(Unfit { claim: claim.clone(), found, wanted: globs.patterns().to_vec() })
    }
}

/// A text by its pattern, a list by one of its items; a number or a boolean as it is written.
fn fits(value: &Value, globs: &Globs) -> bool {
    match value {
        Value::String(text) => globs.fit(text),
        Value::Array(items) => items.iter().any(|item| !item.is_array() && fits(item, globs)),
        Value::Number(_) | Value::Bool(_) => globs.fit(&value.to_string()),
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests;
