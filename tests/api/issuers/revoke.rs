//! `keys revoke` of tokens: by Redis alone, whether a gateway runs or not.

use super::*;
use crate::support::{eventually, redis::Redis};

/// Exit code, and what is printed.
fn revoke(stage: &Stage, redis: Option<&str>, id: &str, by_service: bool) -> (Option<i32>, String) {
    let settings = stage.settings().replace("user =", "leeway = '0s'\nuser =");
    let (_folder, mut revoke) = operator(&settings, &["keys", "revoke", id]);
    revoke.envs(redis.map(|url| ("REDIS_URL", url)));
    if by_service {
        revoke.env("HOKUSAI_AUTH_SERVICE_URL", stage.auth.url());
    }
    let output = revoke.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn gateway_at(stage: &Stage, redis: &Redis) -> Gateway {
    let settings = stage.settings().replace("user =", "leeway = '0s'\nuser =");
    stage
        .builder(&settings)
        .set("REDIS__URL", &redis.url())
        .set("AUTH__PEPPER", "a pepper of the fleet's")
        .start(&stage.mlflow)
        .await
}

#[actix_web::test]
async fn a_subject_and_a_token_are_revoked_with_no_gateway_running_and_with_one() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let name = format!("{}|repo:acme/churn", stage.issuer.url());
    for by_service in [false, true] {
        let (code, told) = revoke(&stage, Some(&redis.url()), &name, by_service);
        assert!(code == Some(0) && told.contains("no gateway listens"), "{told}");
        assert!(told.contains("issued until now") && told.contains("30 days"), "{told}");
    }
    let gateway = gateway_at(&stage, &redis).await;
    let listens = || redis.cli(&["pubsub", "numsub", "hokusai:revoked"]).trim().ends_with('1');
    eventually("it listens", async || listens()).await;
    assert_eq!(get(&gateway, &stage.token(json!({}))).await.status, 401);

    let other = stage.token(json!({ "sub": "other", "jti": "one" }));
    assert_eq!(get(&gateway, &other).await.status, 200);
    let (code, told) = revoke(&stage, Some(&redis.url()), "one", false);
    assert!(code == Some(0) && told.contains("1 gateway received") && told.contains("this jti"), "{told}");
    eventually("it has ended", async || get(&gateway, &other).await.status == 401).await;
}

#[actix_web::test]
async fn what_cannot_be_revoked_is_told_and_no_token_is_printed_or_sent() {
    let (mut redis, stage) = (Redis::start(&[]), Stage::set().await);
    let name = format!("{}|repo:acme/churn", stage.issuer.url());
    let (code, told) = revoke(&stage, None, &name, false);
    assert!(
        code == Some(1) && told.contains("redis.url is not set") && told.contains("scopes = []"),
        "{told}"
    );

    let monitor = redis.monitor();
    let slash = format!("{}/|repo:acme/churn", stage.issuer.url());
    let (code, told) = revoke(&stage, Some(&redis.url()), &slash, false);
    assert!(code == Some(1) && told.contains(&format!("it has {}", stage.issuer.url())), "{told}");
    let token = stage.token(json!({}));
    for by_service in [false, true] {
        let (code, told) = revoke(&stage, Some(&redis.url()), &token, by_service);
        assert!(code == Some(1) && !told.contains(&token[10..]) && told.contains("ISSUER|SUBJECT"), "{told}");
    }
    assert!(
        !monitor.text().contains("PUBLISH") && !monitor.text().contains(&token[10..]),
        "{}",
        monitor.text()
    );
    drop(monitor);

    let url = redis.url();
    redis.stop();
    let (code, told) = revoke(&stage, Some(&url), &name, false);
    assert!(
        code == Some(1) && told.contains("did not reach Redis") && !told.contains("are revoked"),
        "{told}"
    );
}
