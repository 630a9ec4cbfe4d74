use serde_json::json;

use super::*;
use crate::settings::{ClientTls, Scope};

fn rule(when: &[(&str, &[&str])], scope: Scope) -> IssuerRule {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    IssuerRule {
        when: when.iter().map(|(claim, patterns)| ((*claim).to_owned(), texts(patterns))).collect(),
        scopes: vec![scope],
        workspace: None,
        models: Some(texts(&["acme-*"])),
        experiments: None,
        rate_limit_per_hour: NonZeroU32::new(7),
        concurrent: NonZeroU32::new(8),
        creates_per_hour: NonZeroU32::new(9),
    }
}

fn issuer(rules: Vec<IssuerRule>) -> Issuer {
    Issuer {
        issuer: "https://issuer.example".to_owned(),
        audiences: vec!["mlflow".to_owned()],
        jwks_url: None,
        algorithms: Vec::new(),
        leeway: std::time::Duration::ZERO,
        user: "{sub}".to_owned(),
        tls: ClientTls::default(),
        login: None,
        rules,
    }
}

fn principal(rules: Vec<IssuerRule>, claims: serde_json::Value) -> Result<Principal, NoRule> {
    Rules::compile(&issuer(rules)).unwrap().principal(&serde_json::from_value(claims).unwrap())
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = || {
        vec![
            rule(&[("repository", &["acme/*"]), ("ref", &["refs/heads/main"])], Scope::Write),
            rule(&[("repository", &["acme/*"])], Scope::Read),
        ]
    };
    for (branch, scope) in [("refs/heads/main", "mlflow:write"), ("refs/heads/dev", "mlflow:read")] {
        let claims = json!({"sub": "a", "repository": "acme/x", "ref": branch});
        assert_eq!(principal(rules(), claims).unwrap().scopes.unwrap(), [scope], "{branch}");
    }
}

#[test]
fn a_principal_has_what_its_rule_gives() {
    let given = principal(vec![rule(&[("sub", &["*"])], Scope::Read)], json!({"sub": "a"})).unwrap();
    assert_eq!((given.user_id.as_deref(), given.is_admin), (Some("a"), false));
    assert_eq!(given.rate_limit_per_hour, NonZeroU32::new(7));
    assert_eq!((given.concurrent, given.creates_per_hour), (NonZeroU32::new(8), NonZeroU32::new(9)));
    assert!(given.fence.models.unwrap().fit("acme-x") && given.fence.experiments.is_none());
}

#[test]
fn a_condition_fits_a_text_by_its_pattern_and_a_list_by_an_item() {
    for (value, fits) in [
        (json!("admins"), true),
        (json!("admins2"), false),
        (json!(["users", "admins"]), true),
        (json!(["users"]), false),
        (json!([]), false),
        (json!([["admins"]]), false),
        (json!({"admins": true}), false),
        (json!(null), false),
    ] {
        let given = principal(
            vec![rule(&[("groups", &["admins"])], Scope::Read)],
            json!({"sub": "a", "groups": value}),
        );
        assert_eq!(given.is_ok(), fits, "{value}");
    }
    for (value, pattern, fits) in
        [(json!(true), "true", true), (json!(true), "false", false), (json!(7), "7", true)]
    {
        let given = principal(vec![rule(&[("x", &[pattern])], Scope::Read)], json!({"sub": "a", "x": value}));
        assert_eq!(given.is_ok(), fits, "{value} {pattern}");
    }
}

#[test]
fn what_is_missing_is_told_of_each_rule() {
    let rules = vec![
        rule(&[("repository", &["acme/*"])], Scope::Write),
        rule(&[("group", &["a", "b"])], Scope::Read),
    ];
    let missing = principal(rules, json!({"sub": "a", "repository": "other/x"})).unwrap_err().to_string();
    assert_eq!(
        missing,
        "no rule fits it: rule 1: `repository` is \"other/x\", and acme/* is wanted; rule 2: `group` is not there, and a or b is wanted"
    );
}

#[test]
fn everything_that_cannot_be_used_is_told_at_once() {
    let mut bad = issuer(vec![rule(&[("ref", &["[a"])], Scope::Read)]);
    bad.user = "{sub".to_owned();
    bad.rules[0].workspace = Some("Not A Workspace".to_owned());
    bad.rules[0].models = Some(vec!["{a".to_owned()]);
    let keys: Vec<_> = Rules::compile(&bad).unwrap_err().into_iter().map(|fault| fault.key).collect();
    assert_eq!(keys, ["user", "rules[1].when.ref", "rules[1].models", "rules[1].workspace"]);
}
