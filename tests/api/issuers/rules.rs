//! What a token may do: what the first rule that it fits says, and nothing where none fits.

use super::*;
use crate::support::process::command;

#[actix_web::test]
async fn a_token_without_a_rule_may_do_nothing_and_a_stranger_does_not_learn_why() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    for changes in [json!({ "repository": "evil/churn" }), json!({ "repository": null })] {
        let response = get(&gateway, &stage.token(changes)).await;
        assert_eq!((response.status, response.reason().as_str()), (403, "no_rule"));
        for told in ["repository", "acme", "evil", "churn", AUDIENCE] {
            assert!(!response.text().contains(told), "{told}: {}", response.text());
        }
    }
    assert!(stage.mlflow.requests().is_empty() && stage.auth.requests().is_empty());
}

#[actix_web::test]
async fn explain_tells_the_operator_what_a_token_lacks() {
    let stage = Stage::set().await;
    let folder = crate::support::commands::folder_with_a_key();
    std::fs::write(folder.path().join("gateway.toml"), stage.settings()).unwrap();
    let token = stage.token(json!({ "repository": "evil/churn" }));
    let mut explain = command(folder.path());
    explain.args([
        "explain",
        "--config",
        "gateway.toml",
        "--method",
        "GET",
        "--path",
        "/api/2.0/mlflow/runs/get",
    ]);
    explain.env("MLFLOW_SERVER_URL", stage.mlflow.url()).env("HOKUSAI_API_KEY", &token);
    let report = crate::support::commands::Report::of(explain).await;
    assert_eq!(
        (report.code, &report.said["verdict"]["reason"]),
        (Some(1), &json!("no_rule")),
        "{}",
        report.printed
    );
    assert_eq!(
        report.said["missing"],
        "no rule fits it: rule 1: `repository` is \"evil/churn\", and acme/* is wanted"
    );
    assert_eq!(report.said["key"]["key_id"], format!("{}|repo:acme/churn", stage.issuer.url()));
    assert!(!report.printed.contains(&token), "the token is printed");
}

#[actix_web::test]
async fn scopes_fences_workspace_and_limit_of_a_rule_are_in_force() {
    let stage = Stage::set().await;
    let settings = issuer_settings(&stage.issuer.url())
        + "[[auth.issuers.rules]]\nwhen = { Team = 'blue', 'realm.roles' = ['admin', 'dev-*'] }\nscopes = ['mlflow:read', 'mlflow:write']\n\
           models = ['acme-*']\nexperiments = []\nworkspace = 'team-a'\nrate_limit_per_hour = 7\n\
           concurrent = 3\ncreates_per_hour = 50\n\
           [[auth.issuers.rules]]\nwhen = { repository = '*' }\nscopes = ['mlflow:read']\n";
    let gateway = stage.gateway_with(&settings).await;
    let blue = stage.token(json!({ "Team": "blue", "realm": { "roles": ["user", "dev-ops"] } }));
    let other = stage.token(json!({ "Team": "blue", "realm": { "roles": ["user"] } }));
    let post = async |token: &str, path: &str, body: &str, more: &str| {
        let length = body.len();
        let head = format!(
            "POST /api/2.0/mlflow/{path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n{more}\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        ask(gateway.address, head).await
    };
    let create = async |token: &str, name: &str| {
        post(token, "registered-models/create", &json!({ "name": name }).to_string(), "").await
    };
    let created = create(&blue, "acme-churn").await;
    assert_eq!((created.status, created.header("ratelimit-limit")), (200, Some("7")), "{created:?}");
    assert_eq!(stage.mlflow.requests().last().unwrap().header("x-mlflow-workspace"), Some("team-a"));
    assert_eq!(create(&blue, "evil-churn").await.reason(), "outside_fence");
    let experiment = post(&blue, "experiments/create", r#"{"name": "acme/churn"}"#, "").await;
    assert_eq!(experiment.reason(), "outside_fence");
    let elsewhere = "x-mlflow-workspace: team-b\r\n";
    assert_eq!(post(&blue, "registered-models/create", r#"{"name": "acme-x"}"#, elsewhere).await.status, 200);
    assert_eq!(
        stage.mlflow.requests().last().unwrap().all("x-mlflow-workspace").collect::<Vec<_>>(),
        ["team-a"]
    );

    let account = format!("GET /account HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {blue}\r\n\r\n");
    let limits = ask(gateway.address, account).await.json()["limits"].clone();
    assert_eq!((&limits["concurrent"]["limit"], &limits["creates"]["limit"]), (&json!(3), &json!(50)));

    // It fits the second rule only.
    assert_eq!(get(&gateway, &other).await.status, 200);
    assert_eq!(create(&other, "acme-churn").await.reason(), "scope_missing");
}

#[actix_web::test]
async fn a_user_that_no_claim_gives_is_nobody() {
    let stage = Stage::set().await;
    let settings = stage.settings().replace("user = '{repository}'", "user = 'ci-{actor}'");
    let gateway = stage.gateway_with(&settings).await;
    for actor in [json!(null), json!(""), json!(["ada"]), json!("a\nb"), json!({ "name": "ada" })] {
        let response = get(&gateway, &stage.token(json!({ "actor": actor }))).await;
        assert_eq!((response.status, response.reason().as_str()), (403, "no_rule"), "{actor}");
    }
    assert_eq!(get(&gateway, &stage.token(json!({ "actor": "ada" }))).await.status, 200);
    assert_eq!(stage.mlflow.request().header("x-hokusai-user-id"), Some("ci-ada"));
}

#[actix_web::test]
async fn tokens_with_other_claims_are_never_one_user() {
    let stage = Stage::set().await;
    let settings = stage.settings().replace("user = '{repository}'", "user = '{project}/{branch}'");
    let gateway = stage.gateway_with(&settings).await;
    let of = |project: &str, branch: &str| stage.token(json!({ "project": project, "branch": branch }));
    assert_eq!(get(&gateway, &of("acme", "churn/main")).await.status, 200);
    assert_eq!(stage.mlflow.request().header("x-hokusai-user-id"), Some("acme/churn/main"));
    let response = get(&gateway, &of("acme/churn", "main")).await;
    assert_eq!((response.status, response.reason().as_str()), (403, "no_rule"));
    // Both are the same number where one has lost digits.
    for project in [json!(123_456_789_012_345_678_901_f64), json!(1.5)] {
        let response = get(&gateway, &stage.token(json!({ "project": project, "branch": "main" }))).await;
        assert_eq!((response.status, response.reason().as_str()), (403, "no_rule"), "{project}");
    }
    assert_eq!(stage.mlflow.requests().len(), 1);
}
