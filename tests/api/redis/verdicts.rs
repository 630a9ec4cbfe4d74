//! Verdicts that instances share.

use super::*;

#[actix_web::test]
async fn what_one_instance_was_told_the_others_know() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let mut fleet = vec![gateway_that_remembers(&stage, &redis).await];
    let calls = stage.calls();
    for _ in 0..3 {
        fleet.push(stage.gateway(&redis.url()).await);
        until_listening(&redis, fleet.len()).await;
        assert_eq!(get(fleet.last().unwrap()).await.status, 200);
        assert_eq!(stage.mlflow.requests().last().unwrap().header("x-hokusai-key-id"), Some("k-1"));
    }
    assert_eq!(stage.calls(), calls);
}

#[actix_web::test]
async fn a_fence_is_shared_and_a_verdict_of_a_gateway_that_knew_none_is_not_read() {
    let redis = Redis::start(&[]);
    let fenced = r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1", "models": ["acme-*"]}"#;
    let stage = Stage { auth: Server::start(move |_| Answer::ok(fenced)).await, ..Stage::set().await };
    let create = async |gateway: &Gateway| {
        let head = "POST /api/2.0/mlflow/registered-models/create HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key";
        let request = format!(
            "{head}\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{{\"name\": \"bob-x\"}}"
        );
        ask(gateway.address, request).await.reason()
    };
    let first = stage.gateway(&redis.url()).await;
    assert_eq!(create(&first).await, "outside_fence");
    let key = until_stored(&redis).await;
    let calls = stage.calls();
    assert_eq!(create(&stage.gateway(&redis.url()).await).await, "outside_fence");
    assert_eq!(stage.calls(), calls, "the second instance has it from Redis");

    redis.cli(&["setrange", &key, "0", "\u{2}"]);
    assert_eq!(create(&stage.gateway(&redis.url()).await).await, "outside_fence");
    assert!(stage.calls() > calls, "a value of the version before is read");
}

#[actix_web::test]
async fn instances_with_another_pepper_believe_nothing() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 200);
    until_stored(&redis).await;
    let stranger = stage.gateway_with(&redis.url(), "the pepper of another fleet").await;
    // Twice, where it begins to listen for revocations in the middle of its question.
    let calls = stage.calls();
    assert_eq!(get(&stranger).await.status, 200);
    assert!(stage.calls() > calls);
}

#[actix_web::test]
async fn whatever_else_lies_in_redis_is_no_verdict() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 200);
    let key = until_stored(&redis).await;
    // Another key's verdict, moved here.
    assert_eq!(ask(stage.gateway(&redis.url()).await.address, get_with("other")).await.status, 200);
    let other = until_some_key(&redis, |other| other.starts_with("hokusai:verdict:") && other != key).await;

    stage.refuses.store(true, Ordering::Relaxed);
    let steps: [&[&str]; 5] = [
        &["set", &key, "junk"],
        &["copy", &other, &key, "replace"],
        &["eval", "return redis.call('set', KEYS[1], string.rep('x', 10000000))", "1", &key],
        &["eval", "redis.call('del', KEYS[1]) return redis.call('lpush', KEYS[1], 'a')", "1", &key],
        &["del", &key],
    ];
    for step in steps {
        redis.cli(step);
        let calls = stage.calls();
        assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 401, "{step:?}");
        assert_eq!(stage.calls(), calls + 1, "{step:?}");
    }
}
