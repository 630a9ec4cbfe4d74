//! The gateways that listen for revocations at a Redis.

use std::{path::Path, process::ExitCode};

use serde_json::json;

use crate::{
    auth::{key, revocation::CHANNEL},
    cli::{
        environment,
        format::{Format, print_json, print_message},
    },
    code::Code,
    redis::Redis,
    settings::{Problems, Settings},
    telemetry::Metrics,
};

/// The longest id of an auth service's key that is sent, in bytes; keys are often longer.
const LONGEST_ID: usize = 128;

pub(super) struct Fleet(Redis);

/// That a message was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard(Option<u64>);

impl Heard {
    /// By how many it was heard, where Redis says so.
    pub(super) fn count(self) -> Option<u64> {
        self.0
    }
}

impl Fleet {
    /// `None` where no Redis is set.
    ///
    /// # Errors
    /// The problems of `redis.url`.
    pub(super) fn load(config: Option<&Path>) -> Result<Option<Self>, Problems> {
        let Some(settings) = Settings::load_redis(config, environment())? else { return Ok(None) };
        let metrics = Metrics::new().map_err(|error| {
            crate::resources::problem(Code::Defect, "metrics", error, "nothing: this is a defect")
        })?;
        let redis = Redis::new(&settings, metrics).map_err(crate::resources::unusable_url)?;
        Ok(Some(Self(redis)))
    }

    /// # Errors
    /// That Redis does not take the message.
    pub(super) fn publish(&self, id: &str) -> Result<Option<Heard>, String> {
        let publishing = self.0.publish(CHANNEL, id);
        let heard = actix_rt::System::new().block_on(publishing);
        heard
            .map(|count| Some(Heard(count)))
            .map_err(|error| format!("{} Redis was not told: {error}", Code::RevocationUntold))
    }

    /// Has every gateway forget what the auth service said of a key.
    pub(super) fn forget(&self, id: &str, url: &str, format: Format) -> ExitCode {
        // It would go through Redis to every gateway.
        if id.is_empty() || id.len() > LONGEST_ID || key::is_in(id) || key::has_jwt(id) {
            print_message("the id of a key is wanted, and not a key: an id has at most 128 bytes");
            return ExitCode::FAILURE;
        }
        let heard = self.publish(id);
        if format == Format::Json {
            let told = heard.as_ref().ok().and_then(|heard| heard.as_ref()?.count());
            print_json(&json!({ "id": id, "forgotten": heard.is_ok(), "told": told }));
        }
        let is_heard = !matches!(heard, Ok(Some(Heard(Some(0)))));
        let code = say(&heard);
        if code == ExitCode::SUCCESS && is_heard {
            print_message(format_args!(
                "they ask the auth service at {url} about it again, which must refuse it from now on"
            ));
            return ExitCode::SUCCESS;
        }
        ExitCode::FAILURE
    }
}

/// Tells how far the message came.
pub(super) fn say(heard: &Result<Option<Heard>, String>) -> ExitCode {
    match heard {
        Ok(None) => {}
        Ok(Some(Heard(Some(0)))) => {
            print_message(format_args!("{} no gateway listens at this Redis", Code::RevocationUntold))
        }
        Ok(Some(Heard(Some(1)))) => print_message("1 gateway was told through Redis"),
        Ok(Some(Heard(Some(count)))) => {
            print_message(format_args!("{count} gateways were told through Redis"))
        }
        Ok(Some(Heard(None))) => {
            print_message("told through Redis, which as a cluster does not say to how many gateways")
        }
        Err(error) => {
            print_message(format_args!(
                "{error}; gateways that do not read this file go on with the key: once more, when it answers"
            ));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
