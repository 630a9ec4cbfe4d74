//! The recipes of docs/ISSUERS.md: each token gets what its settings say, and loses it with each condition.

use std::{collections::BTreeMap, fs, path::Path};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{get_from, issuer::Issuer, signing::SigningKey};
use crate::support::{GatewayBuilder, Response, Server, ask, server::Answer};

/// Settings and claims, by the recipe's title.
fn recipes() -> BTreeMap<String, (String, Value)> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ISSUERS.md");
    let document = fs::read_to_string(document).unwrap();
    let (_, recipes) = document.split_once("\n## Recipes\n").unwrap();
    let (recipes, _) = recipes.split_once("\n## ").unwrap();
    let block = |text: &str, kind: &str| {
        let (_, rest) =
            text.split_once(&format!("```{kind}\n")).unwrap_or_else(|| panic!("no {kind}: {text:.40}"));
        rest.split_once("```").unwrap().0.to_owned()
    };
    let recipes = recipes.split("\n### ").skip(1).map(|recipe| {
        let (title, text) = recipe.split_once('\n').unwrap();
        (title.to_owned(), (block(text, "toml"), serde_json::from_str(&block(text, "json")).unwrap()))
    });
    recipes.collect()
}

/// The claim of this name, or the one that dots lead to.
fn claim<'a>(claims: &'a mut Value, path: &str) -> &'a mut Value {
    if claims.get(path).is_some() {
        return &mut claims[path];
    }
    let dots = path.match_indices('.').map(|(at, _)| at);
    let dot =
        dots.rev().find(|dot| claims.get(&path[..*dot]).is_some()).unwrap_or_else(|| panic!("no {path}"));
    claim(&mut claims[&path[..dot]], &path[dot + 1..])
}

async fn create(gateway: std::net::SocketAddr, token: &str) -> Response {
    let create = format!(
        "POST /api/2.0/mlflow/registered-models/create HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 21\r\n\r\n{{\"name\":\"acme-churn\"}}"
    );
    ask(gateway, create).await
}

#[actix_web::test]
async fn the_recipes_do_what_they_say() {
    let recipes = recipes();
    assert_eq!(recipes.len(), 7, "{:?}", recipes.keys());
    for (title, (settings, claims)) in recipes {
        let (key, mlflow) = (SigningKey::rsa("key-1"), Server::start(|_| Answer::ok("{}")).await);
        let issuer = Issuer::start(&[&key]).await;
        let name = claims["iss"].as_str().unwrap();
        assert!(
            settings.contains(&format!("issuer = \"{name}\"\n")),
            "{title}: the claims are of another issuer"
        );
        let gateway =
            GatewayBuilder::default().file(&settings.replace(name, &issuer.url())).start(&mlflow).await;
        let now = Timestamp::now().as_second();
        let mut good = claims;
        for (claim, value) in
            [("iss", json!(issuer.url())), ("iat", json!(now - 60)), ("exp", json!(now + 600))]
        {
            good[claim] = value;
        }

        let made = create(gateway.address, &key.token(&good)).await;
        assert_eq!(made.status, 200, "{title}: {}", made.text());
        let user = mlflow.requests().last().unwrap().header("x-hokusai-user-id").unwrap().to_owned();
        assert!(!user.is_empty(), "{title}");

        let settings: toml::Table = settings.parse().unwrap();
        let conditions = settings["auth"]["issuers"][0]["rules"][0]["when"].as_table().unwrap();
        for condition in conditions.keys().map(String::as_str).chain(["aud"]) {
            let mut other = good.clone();
            *claim(&mut other, condition) = json!("other");
            let refused = create(gateway.address, &key.token(&other)).await;
            let status = if condition == "aud" { 401 } else { 403 };
            assert_eq!(refused.status, status, "{title}, {condition}: {}", refused.text());
        }
        let read = get_from(&gateway, "203.0.113.1", &key.token(&good)).await;
        assert_eq!(read.status, 200, "{title}");
    }
}
