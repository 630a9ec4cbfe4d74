//! Sentinel, clusters, and limits of several processes.

use super::*;

#[actix_web::test]
async fn a_fleet_shares_through_sentinel_and_follows_it_to_a_new_master() {
    let mut master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    let sentinel = Redis::sentinel("main", master.port);
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    a_fleet_shares_through(&url).await;
    assert!(master.cli(&["--scan"]).contains("hokusai:verdict:"));

    let stage = Stage::set().await;
    let gateway = stage.gateway(&url).await;
    until_listening(&master, 3).await;
    assert_eq!(get(&gateway).await.status, 200);
    master.stop();
    eventually("the replica is master", async || replica.cli(&["role"]).starts_with("master")).await;
    until_listening(&replica, 3).await;
    stage.refuses.store(true, Ordering::Relaxed);
    replica.cli(&["publish", "hokusai:revoked", "k-1"]);
    until_status(&gateway, 401).await;
}

#[actix_web::test]
async fn a_fleet_shares_through_a_cluster_of_three() {
    let nodes = Redis::cluster();
    let hosts: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let url = format!("redis+cluster://{}", hosts.join(","));
    a_fleet_shares_through(&url).await;

    let stage = Stage::set().await;
    let gateway = stage.gateway(&url).await;
    until_listening(&nodes[0], 3).await;
    assert_eq!(get(&gateway).await.status, 200);
    stage.refuses.store(true, Ordering::Relaxed);
    // At another node than the one that is listened to.
    nodes[2].cli(&["publish", "hokusai:revoked", "k-1"]);
    until_status(&gateway, 401).await;
    assert_eq!(get(&stage.gateway(&url).await).await.status, 401);
}

#[actix_web::test]
async fn three_processes_together_admit_one_limit() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let monitor = redis.monitor();
    let fleet = fleet_of_three(&stage, &redis.url(), (PER_HOUR, "400"));
    let count = admitted(&addresses(&fleet), 480).await;
    // A batch of four may lie unused at each; nothing is admitted twice. (One more comes every nine seconds.)
    assert!((385..=402).contains(&count), "{count}");
    let calls = monitor.text().matches("hokusai:limit:read:k-1").count();
    assert!(calls > 0 && calls < 480, "{calls} lines in the monitor for 480 requests");
}

#[actix_web::test]
async fn three_processes_together_admit_one_limit_of_creates() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let limit = ("HOKUSAI__LIMITS__CREATES_PER_HOUR", "30");
    let processes = fleet_of_three(&stage, &redis.url(), limit);
    let create = "POST /api/2.0/mlflow/runs/create HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key\r\n\
                  content-type: application/json\r\ncontent-length: 22\r\n\r\n{\"experiment_id\": \"1\"}";
    let mut created = 0;
    for address in addresses(&processes).into_iter().cycle().take(60) {
        let status = ask(address, create).await.status;
        assert!([200, 429].contains(&status), "{status}");
        created += usize::from(status == 200);
    }
    assert_eq!(created, 30);
    assert_eq!(stage.mlflow.requests().len(), 30);
}

#[actix_web::test]
async fn three_processes_hear_of_a_revocation() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let fleet = fleet_of_three(&stage, &redis.url(), (PER_HOUR, "36000"));
    until_listening(&redis, 3).await;
    for address in addresses(&fleet) {
        assert_eq!(ask(address, get_with("the-key")).await.status, 200);
    }
    stage.refuses.store(true, Ordering::Relaxed);
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    let refused = async || {
        let mut all = true;
        for address in addresses(&fleet) {
            all &= ask(address, get_with("the-key")).await.status == 401;
        }
        all
    };
    // A verdict would be believed for a minute; a revocation is to count within a second.
    timeout(Duration::from_secs(5), eventually("all three refuse", refused)).await.unwrap();
}

#[actix_web::test]
async fn without_redis_each_instance_admits_its_share() {
    let stage = Stage::set().await;
    let fleet = fleet_of_three(&stage, "redis://127.0.0.1:1", (PER_HOUR, "60"));
    let count = admitted(&addresses(&fleet), 120).await;
    assert!((60..=62).contains(&count), "{count}");
}

#[actix_web::test]
async fn three_processes_together_count_artifact_bytes() {
    let (stage, redis) = (Stage::set().await, Redis::start(&[]));
    let limit = ("HOKUSAI__LIMITS__ARTIFACT_BYTES_PER_HOUR", "1MiB");
    let processes = fleet_of_three(&stage, &redis.url(), limit);
    let fleet = addresses(&processes);
    assert_eq!(put_artifact(fleet[0], 600 << 10).await, 200);
    until_some_key(&redis, |key| key.starts_with("hokusai:limit:bytes:")).await;
    assert_eq!(put_artifact(fleet[1], 600 << 10).await, 200);
    eventually("the third knows what the others moved", async || {
        put_artifact(fleet[2], 600 << 10).await == 429
    })
    .await;
    let moved = stage.mlflow.requests().len();
    assert!(moved <= 3, "{moved} transfers of 600 KiB under a limit of 1 MiB");
}

#[actix_web::test]
async fn bytes_count_for_the_fleet_while_their_transfer_goes_on() {
    let (stage, redis) = (Stage::set().await, Redis::start(&[]));
    let limit = ("HOKUSAI__LIMITS__ARTIFACT_BYTES_PER_HOUR", "1MiB");
    let processes = fleet_of_three(&stage, &redis.url(), limit);
    let fleet = addresses(&processes);
    let mut under_way = Connection::open(fleet[0]).await;
    let body = "x".repeat(2 << 20);
    let head = "PUT /api/2.0/mlflow-artifacts/artifacts/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key\r\n\
                content-length: 10000000\r\n\r\n";
    under_way.send(format!("{head}{body}")).await;
    eventually("another instance knows of it", async || put_artifact(fleet[1], 1).await == 429).await;
}
