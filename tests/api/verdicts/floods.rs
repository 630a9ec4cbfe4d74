//! What a flood of wrong keys costs.

use std::time::Duration;

use super::{REFUSED, Stage, VALID, get, slow_and_valid};
use crate::support::{GatewayBuilder, Server, ask, client::Connection, server::Answer};

#[actix_web::test]
async fn a_flood_of_wrong_keys_costs_the_service_its_cap_and_leaves_good_keys_alone() {
    let auth = Server::start(|request| {
        let good = request.header("authorization").unwrap().starts_with("Bearer good");
        Answer::ok(if good { VALID } else { REFUSED })
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__SERVICE__FAILURES_PER_MINUTE", "10")
        .set("AUTH__CACHE__TTL", "100ms")
        .start(&mlflow)
        .await;
    assert_eq!(ask(gateway.address, get("good-one")).await.status, 200);

    let mut flood = Connection::open(gateway.address).await;
    let mut statuses = Vec::new();
    for number in 0..1000 {
        flood.send(get(&format!("wrong-{number}"))).await;
        statuses.push(flood.response(false).await);
    }
    let refused = statuses.iter().filter(|response| response.status == 401).count();
    let limited = statuses.iter().filter(|response| response.status == 429).count();
    assert_eq!(refused + limited, 1000);
    assert!((10..=12).contains(&refused), "{refused} keys were asked about");
    let last = statuses.last().unwrap();
    assert_eq!(last.reason(), "rate_limited");
    assert!(last.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);

    // The good key behind the same address: remembered, and asked about again when its time is over.
    for _ in 0..3 {
        assert_eq!(ask(gateway.address, get("good-one")).await.status, 200);
        actix_rt::time::sleep(Duration::from_millis(150)).await;
    }
}

#[actix_web::test]
async fn what_is_more_than_the_cap_waits_its_turn() {
    let settings = [("AUTH__SERVICE__MAX_IN_FLIGHT", "3"), ("AUTH__SERVICE__TIMEOUT", "20s")];
    let stage = Stage::set(vec![slow_and_valid()], &settings).await;
    let asking: Vec<_> = (0..10)
        .map(|number| actix_rt::spawn(ask(stage.gateway.address, get(&format!("key-{number}")))))
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    assert_eq!(stage.calls(), 10);
}
