//! Revocations reach every instance.

use super::*;

#[actix_web::test]
async fn a_revocation_reaches_every_instance() {
    for message in ["k-1", "*"] {
        let (redis, stage) = (Redis::start(&[]), Stage::set().await);
        let mut fleet = Vec::new();
        for _ in 0..3 {
            fleet.push(stage.gateway(&redis.url()).await);
        }
        until_listening(&redis, 3).await;
        for gateway in &fleet {
            assert_eq!(get(gateway).await.status, 200);
        }
        stage.refuses.store(true, Ordering::Relaxed);
        // Remembered: nobody asks.
        assert_eq!(get(&fleet[0]).await.status, 200);
        redis.cli(&["publish", "hokusai:revoked", message]);
        for gateway in &fleet {
            until_status(gateway, 401).await;
        }
    }
}

#[actix_web::test]
async fn an_instance_that_was_not_there_to_hear_of_a_revocation_finds_word_of_it() {
    for message in ["k-1", "*"] {
        let (redis, stage) = (Redis::start(&[]), Stage::set().await);
        let first = stage.gateway(&redis.url()).await;
        until_listening(&redis, 1).await;
        assert_eq!(get(&first).await.status, 200);
        until_stored(&redis).await;
        stage.refuses.store(true, Ordering::Relaxed);
        redis.cli(&["publish", "hokusai:revoked", message]);
        until_some_key(&redis, |key| key.starts_with("hokusai:{revoked}:")).await;
        // The verdict itself is still there.
        assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 401);
    }
}

#[actix_web::test]
async fn a_verdict_that_somebody_keeps_in_redis_for_ever_is_not_served_for_ever() {
    let redis = Redis::start(&[]);
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let auth = Server::start(move |_| {
        if failing.load(Ordering::Relaxed) { Answer::json(500, "{}") } else { Answer::ok(VALID) }
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let brief = async || {
        GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &auth.url())
            .set("AUTH__PEPPER", "a pepper of the fleet's")
            .set("AUTH__CACHE__TTL", "100ms")
            .set("AUTH__CACHE__STALE_TTL", "3s")
            .set("REDIS__URL", &redis.url())
            .start(&mlflow)
            .await
    };
    assert_eq!(get(&brief().await).await.status, 200);
    let stored = until_stored(&redis).await;
    redis.cli(&["persist", &stored]);
    fails.store(true, Ordering::Relaxed);
    // Another instance serves it for as long as it may be served at all, and no longer.
    let second = brief().await;
    until_listening(&redis, 2).await;
    actix_rt::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(get(&second).await.status, 200);
    actix_rt::time::sleep(Duration::from_millis(3500)).await;
    assert!(redis.cli(&["--scan"]).contains(&stored));
    assert_eq!(get(&second).await.status, 503);
}

#[actix_web::test]
async fn a_key_that_was_prolonged_is_not_refused_by_what_lies_in_redis() {
    let redis = Redis::start(&[]);
    let answer = |expires_at: jiff::Timestamp| {
        Answer::ok(&format!(r#"{{"is_valid": true, "key_id": "k-1", "expires_at": "{expires_at}"}}"#))
    };
    let prolonged = Arc::new(AtomicBool::new(false));
    let is_prolonged = Arc::clone(&prolonged);
    let auth = Server::start(move |_| {
        let seconds = if is_prolonged.load(Ordering::Relaxed) { 3600 } else { 1 };
        answer(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds))
    })
    .await;
    let stage = Stage { auth, mlflow: Server::start(|_| Answer::ok("{}")).await, refuses: Arc::default() };
    assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 200);
    until_stored(&redis).await;
    prolonged.store(true, Ordering::Relaxed);
    actix_rt::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 200);
}

#[actix_web::test]
async fn a_revocation_of_another_key_costs_nobody_anything() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_that_remembers(&stage, &redis).await;
    redis.cli(&["publish", "hokusai:revoked", "somebody-elses"]);
    until_some_key(&redis, |key| key.starts_with("hokusai:{revoked}:")).await;
    assert_eq!(get(&gateway).await.status, 200);
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn a_verdict_that_is_under_way_when_its_key_is_revoked_is_not_remembered() {
    let redis = Redis::start(&[]);
    let auth = Server::start(|_| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", VALID.len());
        Answer::Pieces(vec![head.into_bytes(), VALID.as_bytes().to_vec()], Duration::from_millis(500))
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let stage = Stage { auth, mlflow, refuses: Arc::default() };
    let gateway = stage.gateway(&redis.url()).await;
    until_listening(&redis, 1).await;
    let asking = actix_rt::spawn(ask(gateway.address, get_with("the-key")));
    stage.auth.until_begun().await;
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    until_some_key(&redis, |key| key.starts_with("hokusai:{revoked}:")).await;
    asking.await.unwrap();
    get(&gateway).await;
    assert_eq!(stage.calls(), 2);
}

#[actix_web::test]
async fn a_key_that_is_revoked_while_the_service_is_asked_in_vain_is_not_served_from_before() {
    let redis = Redis::start(&[]);
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let auth =
        Server::start(
            move |_| {
                if is_silent.load(Ordering::Relaxed) { Answer::Silence } else { Answer::ok(VALID) }
            },
        )
        .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__SERVICE__TIMEOUT", "1s")
        .set("AUTH__CACHE__TTL", "50ms")
        .set("REDIS__URL", &redis.url())
        .start(&mlflow)
        .await;
    until_listening(&redis, 1).await;
    assert_eq!(get(&gateway).await.status, 200);
    silent.store(true, Ordering::Relaxed);
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(get(&gateway).await.status, 200, "served from before");

    let asking = actix_rt::spawn(ask(gateway.address, get_with("the-key")));
    auth.until(|request| request.target().ends_with("/validate")).await;
    let validations = auth.validations().len();
    eventually("it is asked again", async || {
        auth.validations().len() > validations || auth.validations().len() == 3
    })
    .await;
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    assert_eq!(asking.await.unwrap().status, 503);
}

#[actix_web::test]
async fn what_was_revoked_while_nobody_listened_is_forgotten_when_redis_returns() {
    let (mut redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_that_remembers(&stage, &redis).await;
    redis.stop();
    assert_eq!(get(&gateway).await.status, 200);
    stage.refuses.store(true, Ordering::Relaxed);
    redis.start_again();
    until_status(&gateway, 401).await;
}

#[actix_web::test]
async fn what_was_revoked_while_the_subscription_was_lost_is_not_believed_again() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_that_remembers(&stage, &redis).await;
    stage.refuses.store(true, Ordering::Relaxed);
    // Nobody hears the message, and what lies in Redis stays.
    redis.cli(&["client", "kill", "type", "pubsub"]);
    assert_eq!(redis.cli(&["publish", "hokusai:revoked", "k-1"]).trim(), "0");
    until_status(&gateway, 401).await;
}

#[actix_web::test]
async fn a_revocation_counts_also_where_redis_takes_no_word_of_it() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_that_remembers(&stage, &redis).await;
    stage.refuses.store(true, Ordering::Relaxed);
    redis.cli(&["config", "set", "maxmemory", "1"]);
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    until_status(&gateway, 401).await;
    actix_rt::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(get(&gateway).await.status, 401, "the verdict in Redis is believed again");
}

#[actix_web::test]
async fn a_refusal_reaches_every_instance_also_when_redis_has_just_failed() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let other = gateway_that_remembers(&stage, &redis).await;
    let brief = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &stage.auth.url())
        .set("AUTH__PEPPER", "a pepper of the fleet's")
        .set("AUTH__CACHE__TTL", "100ms")
        .set("REDIS__URL", &redis.url())
        .start(&stage.mlflow)
        .await;
    until_listening(&redis, 2).await;
    assert_eq!(get(&brief).await.status, 200);
    actix_rt::time::sleep(Duration::from_millis(150)).await;
    // Three that fail, and the breaker of the path that others use is open.
    redis.cli(&["client", "pause", "800", "all"]);
    for number in 0..4 {
        assert_eq!(ask(brief.address, get_with(&format!("key-{number}"))).await.status, 200);
    }
    stage.refuses.store(true, Ordering::Relaxed);
    assert_eq!(get(&brief).await.status, 401);
    until_status(&other, 401).await;
}
