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

/// Why a text is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotATemplate {
    #[error("has a brace without its counterpart, or nothing between two")]
    Brace,
    #[error("has two claims with nothing between them: others' claims could give the same name")]
    Adjacent,
}

impl Template {
    pub(super) fn read(text: &str) -> Result<Self, NotATemplate> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            let (claim, after) =
                from.strip_prefix('{').and_then(|from| from.split_once('}')).ok_or(NotATemplate::Brace)?;
            if claim.is_empty() || claim.contains('{') {
                return Err(NotATemplate::Brace);
            }
            parts.extend((!before.is_empty()).then(|| Part::Text(before.to_owned())));
            if matches!(parts.last(), Some(Part::Claim(_))) {
                return Err(NotATemplate::Adjacent);
            }
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

    /// The name, or the claim that gives none: it is missing, no text, empty, or cannot stand in a name. Other claims give another
    /// name.
    pub(super) fn fill(&self, claims: &Claims) -> Result<String, String> {
        let mut name = String::new();
        for (place, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Claim(claim) => {
                    let value = match claims.get(claim) {
                        Some(Value::String(text)) => text.clone(),
                        // A larger or a broken number has lost digits, and is several.
                        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
                        _ => String::new(),
                    };
                    if value.is_empty()
                        || value.chars().any(char::is_control)
                        || !self.shows_the_end_of(&value, place)
                    {
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

    /// Whether a reader of the name sees where the value of the claim at `place` ends: where the next text stands for the first time.
    /// What is behind the last claim is always the same.
    fn shows_the_end_of(&self, value: &str, place: usize) -> bool {
        match &self.0[place + 1..] {
            [Part::Text(text), _, ..] => format!("{value}{text}").find(text) == Some(value.len()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let long = "x".repeat(LONGEST + 1);
        let claims = serde_json::json!({"sub": "a", "n": 7, "large": 1e20, "list": ["a"], "empty": "", "line": "a\nb", "in": {"ner": "b"}, "long": long});
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
            ("{sub}-{list}", Err("list")),
            ("{large}", Err("large")),
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
            assert_eq!(Template::read(template), Err(NotATemplate::Brace), "{template}");
        }
        for template in ["{sub}{n}", "ci-{sub}{n}/{list}"] {
            assert_eq!(Template::read(template), Err(NotATemplate::Adjacent), "{template}");
        }
    }

    #[test]
    fn other_claims_give_another_name() {
        let texts = ["a", "b", ":", "::", "a:", ":a", "a:b", "a::b", ":::", "b:a::", "-", "a-"];
        for template in ["{a}:{b}", "{a}::{b}", "{a}-{b}", "x{a}:{b}-", "{a}:{b}::{a}", "{a}::{b}:{b}"] {
            let template = Template::read(template).unwrap();
            let mut names = std::collections::HashMap::new();
            for pair in texts.iter().flat_map(|a| texts.map(|b| (*a, b))) {
                let claims = serde_json::from_value(serde_json::json!({"a": pair.0, "b": pair.1})).unwrap();
                let Ok(name) = template.fill(&claims) else { continue };
                let earlier = names.insert(name, pair);
                assert_eq!(earlier, None, "{template:?} {pair:?}");
            }
            assert!(names.len() >= texts.len(), "{template:?}: {names:?}");
        }
    }
}
