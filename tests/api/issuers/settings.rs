//! `[[auth.issuers]]`: all that is wrong is told at once, with the issuer's name, and never a value that may be a secret.

use super::*;
use crate::support::{
    commands::{Report, folder_with_a_key},
    process::command,
};

async fn check(settings: &str) -> Report {
    let folder = folder_with_a_key();
    std::fs::write(folder.path().join("gateway.toml"), settings).unwrap();
    let mut check = command(folder.path());
    check.args(["check", "--config", "gateway.toml"]).env("MLFLOW_SERVER_URL", "http://127.0.0.1:1");
    Report::of(check).await
}

/// The keys of all problems, without what they have in common.
fn keys(report: &Report) -> Vec<String> {
    let problems = report.said["problems"].as_array().unwrap();
    let key =
        |problem: &Value| problem["key"].as_str().unwrap().trim_start_matches("auth.issuers").to_owned();
    let mut keys: Vec<_> = problems.iter().map(key).collect();
    keys.sort();
    keys
}

const ISSUER: &str = "https://issuer.example";

#[actix_web::test]
async fn all_problems_are_told_at_once_with_the_issuers_name() {
    let report = check(&format!(
        "[[auth.issuers]]\nissuer = 'http://issuer.example'\nalgorithms = ['HS256']\nleeway = '6m'\njwks_url = 'http://a.example'\n\
         [[auth.issuers]]\nissuer = '{ISSUER}'\naudience = 'a'\nalgorithm = 'RS256'\n\
         [[auth.issuers.rules]]\nscopes = ['mlflow:read', 'everything']\nrate_limit_per_hour = 0\n\
         [[auth.issuers.rules]]\nwhen = {{}}\nscope = ['mlflow:read']\n\
         [[auth.issuers]]\naudience = 'a'\n"
    ))
    .await;
    assert_eq!(report.code, Some(64), "{}", report.printed);
    let (first, second) = ("[http://issuer.example]", "[https://issuer.example]");
    assert_eq!(
        keys(&report),
        [
            "[3].issuer".to_owned(),
            "[3].rules".to_owned(),
            format!("{first}.algorithms"),
            format!("{first}.audience"),
            format!("{first}.issuer"),
            format!("{first}.jwks_url"),
            format!("{first}.leeway"),
            format!("{first}.rules"),
            format!("{second}.algorithm"),
            format!("{second}.rules[1].rate_limit_per_hour"),
            format!("{second}.rules[1].scopes"),
            format!("{second}.rules[1].when"),
            format!("{second}.rules[2].scope"),
            format!("{second}.rules[2].when"),
        ],
        "{}",
        report.printed
    );
    let algorithm = report.problem(&format!("auth.issuers{second}.algorithm"));
    assert!(algorithm.contains("algorithms, or nothing"), "{algorithm}");
}

#[actix_web::test]
async fn patterns_workspaces_and_templates_that_cannot_be_used_are_told_together() {
    let report = check(&format!(
        "[[auth.issuers]]\nissuer = '{ISSUER}'\naudience = 'a'\nuser = '{{sub'\n\
         [[auth.issuers.rules]]\nwhen = {{ sub = '[a', ref = '*' }}\nscopes = []\nmodels = ['{{a']\nexperiments = ['[']\n\
         workspace = 'Not A Workspace'\n[[auth.issuers]]\nissuer = 'https://other.example'\naudience = 'a'\ntls = {{ ca = 'none/ca.pem' }}\n{RULE}"
    ))
    .await;
    assert_eq!(report.code, Some(64), "{}", report.printed);
    let issuer = format!("[{ISSUER}]");
    assert_eq!(
        keys(&report),
        [
            format!("{issuer}.rules[1].experiments"),
            format!("{issuer}.rules[1].models"),
            format!("{issuer}.rules[1].when.sub"),
            format!("{issuer}.rules[1].workspace"),
            format!("{issuer}.user"),
            "[https://other.example].tls.ca".to_owned(),
        ],
        "{}",
        report.printed
    );
}

#[actix_web::test]
async fn a_condition_that_would_not_be_seen_is_told() {
    for (when, lost) in [
        ("{ sub = '*', groups = {} }", Some("groups")),
        ("{ sub = '*', a = { b = {} } }", Some("a.b")),
        ("{ sub = '*', 'a.b' = 'x', a = { b = 'y' } }", Some("a.b")),
        ("{ sub = '*', 'a.b' = 'x', a = { c = 'y' } }", None),
    ] {
        let rule = format!("[[auth.issuers.rules]]\nwhen = {when}\nscopes = []\n");
        let report = check(&format!("[[auth.issuers]]\nissuer = '{ISSUER}'\naudience = 'a'\n{rule}")).await;
        match lost {
            Some(lost) => assert_eq!(keys(&report), [format!("[{ISSUER}].rules[1].when.{lost}")], "{when}"),
            None => assert_eq!(report.code, Some(0), "{when}: {}", report.printed),
        }
    }
}

#[actix_web::test]
async fn an_issuer_is_written_as_its_tokens_have_it() {
    for issuer in
        [" https://a.example", "https://a.example/ ", "https://a.example/a|b", "https://a.example/\t"]
    {
        let report = check(&format!("[[auth.issuers]]\nissuer = '{issuer}'\naudience = 'a'\n{RULE}")).await;
        assert_eq!((report.code, keys(&report)), (Some(64), vec!["[1].issuer".to_owned()]), "{issuer:?}");
    }
}

#[actix_web::test]
async fn two_claims_of_a_user_have_something_between_them() {
    for (user, is_good) in [("{a}{b}", false), ("ci-{a}{b}", false), ("{a}/{b}", true)] {
        let settings =
            format!("[[auth.issuers]]\nissuer = '{ISSUER}'\naudience = 'a'\nuser = '{user}'\n{RULE}");
        let report = check(&settings).await;
        assert_eq!(report.code, Some(if is_good { 0 } else { 64 }), "{user}: {}", report.printed);
    }
}

#[actix_web::test]
async fn an_issuer_for_people_where_nobody_can_log_in_is_warned_about() {
    for (lifetime, is_warned) in [("0s", true), ("12h", false)] {
        let report = check(&format!(
            "[auth.session]\nlifetime = '{lifetime}'\n[[auth.issuers]]\nissuer = '{ISSUER}'\naudience = 'a'\nclient_id = 'b'\n{RULE}\
             [[auth.issuers]]\nissuer = 'https://other.example'\naudience = 'a'\n{RULE}"
        ))
        .await;
        assert_eq!(report.code, Some(0), "{}", report.printed);
        let warnings = report.said["warnings"].as_array().unwrap();
        let keys = warnings.iter().filter_map(|warning| warning["key"].as_str());
        let of_issuers: Vec<_> = keys.filter(|key| key.starts_with("auth.issuers")).collect();
        let wanted = format!("auth.issuers[{ISSUER}].client_id");
        assert_eq!(of_issuers, is_warned.then_some(wanted.as_str()).into_iter().collect::<Vec<_>>());
    }
}

#[actix_web::test]
async fn an_issuer_has_one_table() {
    let one = format!("[[auth.issuers]]\nissuer = '{ISSUER}'\naudience = 'a'\n{RULE}");
    let slash = one.replace(ISSUER, &format!("{ISSUER}/"));
    assert_eq!(check(&(one.clone() + &slash)).await.code, Some(0), "the letter decides");
    let report = check(&(one.clone() + &slash + &one)).await;
    assert_eq!(
        (report.code, keys(&report)),
        (Some(64), vec![format!("[{ISSUER}].issuer")]),
        "{}",
        report.printed
    );
    report.assert_named("HG-S06");
}

#[actix_web::test]
async fn an_address_on_this_machine_may_be_http_and_no_other() {
    for (address, is_good) in [
        ("http://127.0.0.1:8080/realm", true),
        ("http://[::1]:8080", true),
        ("http://localhost", true),
        ("http://localhost.evil.example", false),
        ("http://127.0.0.1.evil.example", false),
        ("http://10.0.0.1", false),
        ("ftp://issuer.example", false),
    ] {
        let settings = format!("[[auth.issuers]]\nissuer = '{address}'\naudience = 'a'\n{RULE}");
        assert_eq!(check(&settings).await.code, Some(if is_good { 0 } else { 64 }), "{address}");
    }
}

#[actix_web::test]
async fn a_list_of_tables_is_for_a_file() {
    for (name, value) in
        [("HOKUSAI__AUTH__ISSUERS", "https://issuer.example"), ("HOKUSAI__AUTH__ISSUERS", "[{}]")]
    {
        let report = crate::support::commands::check(
            &[],
            &[("MLFLOW_SERVER_URL", "http://127.0.0.1:1"), (name, value)],
        )
        .await;
        assert_eq!(report.code, Some(64));
        let problem = report.problem("auth.issuers");
        assert!(problem.contains("[[auth.issuers]] in a file"), "{problem}");
    }
    let report = check("[auth.issuers]\nissuer = 'https://issuer.example'\n").await;
    assert_eq!(report.code, Some(64), "{}", report.printed);
    assert!(report.printed.contains("[[auth.issuers]]"), "{}", report.printed);
}

#[actix_web::test]
async fn a_secret_under_any_name_is_never_shown() {
    let secret = "obviously-a-secret";
    for line in [
        format!("client_secrets = '{secret}'"),
        format!("secret = '{secret}'"),
        format!("{secret} = 'client_secret'"),
        format!("client_secret = '{secret}'"),
        format!("tls = {{ {secret} = '{secret}' }}"),
        format!("audience = ['a', '{secret}']\nleeway = '{secret}'"),
        format!("algorithms = ['{secret}']"),
        format!("issuer = 'https://ada:{secret}@issuer.example'"),
        format!("issuer = 'http://ada:{secret}@issuer.example'"),
        format!("jwks_url = 'http://ada:{secret}@issuer.example'"),
    ] {
        let common = ["issuer = 'https://issuer.example'\n", "audience = 'a'\n"];
        let common = common.into_iter().filter(|common| !line.starts_with(common.split(' ').next().unwrap()));
        let common: String = common.collect();
        let report = check(&format!("[[auth.issuers]]\n{line}\n{common}{RULE}")).await;
        assert_eq!(report.code, Some(64), "{line}: {}", report.printed);
        assert!(!report.printed.contains(secret), "{line}: {}", report.printed);
    }
}
