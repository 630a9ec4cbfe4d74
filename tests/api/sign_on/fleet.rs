//! Sessions at several instances with a Redis.

use sha2::{Digest as _, Sha256};

use super::{checks::rotating, *};
use crate::support::{eventually, redis::Redis};

struct Fleet {
    redis: Redis,
    stage: Stage,
    other: Gateway,
}

impl Fleet {
    async fn start() -> Self {
        let redis = Redis::start(&[]);
        let url = redis.url();
        let stage = Stage::with(move |settings| settings.set("REDIS__URL", &url), "").await;
        let other =
            gateway_of(&stage.provider, "").set("REDIS__URL", &redis.url()).start(&stage.mlflow).await;
        let listeners = || redis.cli(&["pubsub", "numsub", "hokusai:revoked"]);
        eventually("both listen", async || listeners().split_whitespace().last() == Some("2")).await;
        Self { redis, stage, other }
    }

    async fn read_elsewhere(&self, cookie: &str) -> Response {
        send_to(&self.other, "GET", READ, cookie).await
    }
}

#[actix_web::test]
async fn a_revoked_person_is_out_of_every_session_that_has_begun() {
    let fleet = Fleet::start().await;
    let Fleet { redis, stage, other } = &fleet;
    let cookie = stage.log_in(None).await;
    let unseen = later(&cookie, 60);
    assert_eq!((stage.read(&cookie).await.status, fleet.read_elsewhere(&cookie).await.status), (200, 200));
    let name = format!("{}|248289761001", stage.provider.url());
    redis.cli(&["publish", "hokusai:revoked", &name]);
    for gateway in [&stage.gateway, other] {
        eventually("it is heard", async || send_to(gateway, "GET", READ, &cookie).await.status == 401).await;
        assert_eq!(send_to(gateway, "GET", READ, &unseen).await.status, 401);
    }
    let marks = || redis.cli(&["--scan"]).contains("{revoked-token}");
    eventually("there is a mark", async || marks()).await;
    let late = gateway_of(&stage.provider, "").set("REDIS__URL", &redis.url()).start(&stage.mlflow).await;
    assert_eq!(send_to(&late, "GET", READ, &cookie).await.status, 401, "one that starts later");
    let second = Timestamp::now().as_second();
    eventually("a second passes", async || Timestamp::now().as_second() > second).await;
    assert_eq!(stage.read(&stage.log_in(None).await).await.status, 200, "a login after it");
}

#[actix_web::test]
async fn two_instances_do_not_ask_with_one_refresh_token() {
    let fleet = Fleet::start().await;
    let stage = &fleet.stage;
    let cookie = stage.log_in(Some("refresh-0")).await;
    rotating(stage);
    // Both have a connection to Redis.
    assert_eq!((stage.read(&cookie).await.status, fleet.read_elsewhere(&cookie).await.status), (200, 200));
    let old = later(&cookie, 360);
    let renewed = cookie_of(&stage.read(&old).await, SESSION).unwrap();
    let elsewhere = fleet.read_elsewhere(&old).await;
    assert_eq!((elsewhere.status, cookie_of(&elsewhere, SESSION)), (200, None));
    assert_eq!(stage.provider.asked().len(), 2, "for the login, and once");
    assert_eq!(fleet.read_elsewhere(&renewed).await.status, 200);
    fleet.redis.cli(&["flushall"]);
    let renewed = later(&renewed, 360);
    assert_eq!(fleet.read_elsewhere(&renewed).await.status, 200);
    assert_eq!(stage.provider.asked().len(), 3, "the next time another may ask");
}

#[actix_web::test]
async fn a_revocation_that_redis_was_too_slow_to_tell_of_ends_the_session_later() {
    let fleet = Fleet::start().await;
    let Fleet { redis, stage, other } = &fleet;
    let cookie = stage.log_in(None).await;
    let name = format!("{}|248289761001", stage.provider.url());
    let mark = format!("hokusai:{{revoked-token}}:{}", hex::encode(Sha256::digest(name)));
    redis.cli(&["set", &mark, &Timestamp::now().as_millisecond().to_string()]);
    // Not so long that the subscription would be given up.
    redis.cli(&["client", "pause", "1000"]);
    assert_eq!(fleet.read_elsewhere(&cookie).await.status, 200, "nobody says that it is revoked");
    eventually("it is", async || send_to(other, "GET", READ, &cookie).await.status == 401).await;
}
