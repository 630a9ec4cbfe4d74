//! A user's name made of claims: `{repository}`, `{email}`, `ci-{sub}`.

use serde_json::Value;

use super::claims::Claims;

/// The longest name that a token may give its user, in characters: as for users of the auth service.
const LONGEST: usize = 256;

/// A text with names of claims in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Claim(String),
}

/// A text that is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has a brace without its counterpart, or nothing between two")]
pub(super) struct NotATemplate;

impl Template {
    pub(super) fn read(text: &str) -> Result<Self, NotATemplate> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            let (claim, after) =
                from.strip_prefix('{').and_then(|from| from.split_once('}')).ok_or(NotATemplate)?;
            if claim.is_empty() || claim.contains('{') {
                return Err(NotATemplate);
            }
            parts.extend((!before.is_empty()).then(|| Part::Text(before.to_owned())));
            parts.push(Part::Claim(claim.to_owned()));
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
        Ok(Self(parts))
    }

    /// The names of the claims in it.
    pub(super) fn claims(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Claim(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The name, or the claim that gives none: it is missing, no text, empty, or cannot stand in a name.
    pub(super) fn fill(&self, claims: &Claims) -> Result<String, String> {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Claim(claim) => {
                    let value = match claims.get(claim) {
                        Some(Value::String(text)) => text.clone(),
                        Some(Value::Number(number)) => number.to_string(),
                        _ => String::new(),
                    };
                    if value.is_empty() || value.chars().any(char::is_control) {
                        return Err(claim.clone());
                    }
                    name.push_str(&value);
                }
            }
        }
        if name.chars().nth(LONGEST).is_some() {
            return Err(self.claims().collect::<Vec<_>>().join(", "));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let long = "x".repeat(LONGEST + 1);
        let claims = serde_json::json!({"sub": "a", "n": 7, "list": ["a"], "empty": "", "line": "a\nb", "in": {"ner": "b"}, "long": long});
        serde_json::from_value(claims).unwrap()
    }

    #[test]
    fn a_name_is_made_of_claims() {
        for (template, name) in [
            ("{sub}", Ok("a")),
            ("ci-{sub}/{n}", Ok("ci-a/7")),
            ("{in.ner}", Ok("b")),
            ("constant", Ok("constant")),
            ("{missing}", Err("missing")),
            ("{sub}{list}", Err("list")),
            ("{empty}", Err("empty")),
            ("{line}", Err("line")),
            ("{long}", Err("long")),
        ] {
            let filled = Template::read(template).unwrap().fill(&claims());
            assert_eq!(filled, name.map(str::to_owned).map_err(str::to_owned), "{template}");
        }
    }

    #[test]
    fn half_a_brace_is_no_template() {
        for template in ["{sub", "sub}", "{}", "{{sub}}", "}{"] {
            assert_eq!(Template::read(template), Err(NotATemplate), "{template}");
        }
    }
}
