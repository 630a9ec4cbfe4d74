//! Redis fails, or must be spared.

use super::*;

#[actix_web::test]
async fn a_flood_from_one_address_does_not_reach_redis() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    stage.refuses.store(true, Ordering::Relaxed);
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &stage.auth.url())
        .set("AUTH__SERVICE__FAILURES_PER_MINUTE", "2")
        .set("REDIS__URL", &redis.url())
        .start(&stage.mlflow)
        .await;
    let monitor = redis.monitor();
    for number in 0..20 {
        ask(gateway.address, get_with(&format!("wrong-{number}"))).await;
    }
    redis.cli(&["echo", "the end"]);
    eventually("all is seen", async || monitor.text().contains("the end")).await;
    let text = monitor.text();
    let asked = text.lines().filter(|line| line.contains("GETRANGE") && line.contains(":verdict:")).count();
    assert!((1..=3).contains(&asked), "{asked}: {text}");
}

#[actix_web::test]
async fn a_key_that_the_service_refuses_is_gone_from_redis_too() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let brief = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &stage.auth.url())
        .set("AUTH__CACHE__TTL", "100ms")
        .set("REDIS__URL", &redis.url())
        .start(&stage.mlflow)
        .await;
    assert_eq!(get(&brief).await.status, 200);
    until_stored(&redis).await;
    stage.refuses.store(true, Ordering::Relaxed);
    until_status(&brief, 401).await;
    eventually("the verdict is gone", async || !redis.cli(&["--scan"]).contains("hokusai:verdict:")).await;
}

#[actix_web::test]
async fn no_failure_of_redis_is_a_failure_of_the_gateway() {
    let served = |url: String| async move {
        let stage = Stage::set().await;
        let gateway = stage.gateway_that_may_not_listen(&url, "a pepper of the fleet's").await;
        let mut connection = Connection::open(gateway.address).await;
        for number in 0..20 {
            connection.send(get_with(&format!("key-{number}"))).await;
            assert_eq!(connection.response(false).await.status, 200, "{url}");
        }
    };
    served("redis://127.0.0.1:1".to_owned()).await;
    served("redis://nowhere.invalid:6379".to_owned()).await;

    let redis = Redis::start(&[]);
    redis.freeze();
    // Three calls of 50 ms, and then none: not twenty, and none of the 2 s that a call may take.
    timeout(Duration::from_secs(2), served(redis.url())).await.expect("Redis holds requests up");

    let redis = Redis::start(&["--requirepass", "right"]);
    served(redis.url()).await;
    served(format!("redis://:wrong@127.0.0.1:{}", redis.port)).await;

    let redis = Redis::start(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]);
    served(redis.url()).await;

    let master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    served(replica.url()).await;
}

#[actix_web::test]
async fn a_user_of_redis_with_a_password_is_let_in() {
    let redis = Redis::start(&[]);
    redis.cli(&["acl", "setuser", "gateway", "on", ">s3cr3t", "~hokusai:*", "&hokusai:*", "+@all"]);
    redis.cli(&["acl", "setuser", "default", "off"]);
    let stage = Stage::set().await;
    let url = format!("redis://gateway:s3cr3t@127.0.0.1:{}", redis.port);
    let as_gateway = |rest: &[&str]| redis.cli(&[&["--user", "gateway", "--pass", "s3cr3t"], rest].concat());
    let listen =
        |count: &str| as_gateway(&["pubsub", "numsub", "hokusai:revoked"]).lines().any(|line| line == count);
    let first = stage.gateway(&url).await;
    eventually("it listens", async || listen("1")).await;
    assert_eq!(get(&first).await.status, 200);
    eventually("a verdict is stored", async || as_gateway(&["--scan"]).contains("hokusai:verdict:")).await;
    let second = stage.gateway(&url).await;
    eventually("both listen", async || listen("2")).await;
    assert_eq!(get(&second).await.status, 200);
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn no_key_is_ever_sent_to_redis() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let monitor = redis.monitor();
    let gateway = gateway_that_remembers(&stage, &redis).await;
    let stored = until_stored(&redis).await;
    stage.refuses.store(true, Ordering::Relaxed);
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    until_status(&gateway, 401).await;
    eventually("the monitor has seen it", async || monitor.text().contains("hokusai:verdict:")).await;
    let seen = monitor.text() + &redis.cli(&["--scan"]) + &redis.cli(&["get", &stored]);
    assert!(!seen.contains("the-key"), "{seen}");
}
