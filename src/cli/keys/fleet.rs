//! The gateways that listen for revocations at a Redis.

use std::{path::Path, process::ExitCode};

use deadpool_redis::redis::RedisError;
use serde_json::json;
use url::Url;

use crate::{
    auth::{issuers::marks, key, revocation::CHANNEL},
    cli::{
        Failure, environment,
        format::{Format, print_json, print_message},
    },
    code::Code,
    redis::Redis,
    resources,
    settings::{Problems, RedisSettings, Settings},
    telemetry::Metrics,
};

/// The longest id of an auth service's key that is sent, in bytes; keys are often longer.
const LONGEST_ID: usize = 128;

pub(super) struct Fleet(Redis);

/// How many gateways received a revocation. A cluster of Redis does not say.
pub(super) type Receivers = Option<u64>;

impl Fleet {
    /// `None` where no Redis is set.
    ///
    /// # Errors
    /// The problems of `redis.url`.
    pub(super) fn load(config: Option<&Path>) -> Result<Option<Self>, Problems> {
        let Some(settings) = Settings::load_section(config, environment(), RedisSettings::read)? else {
            return Ok(None);
        };
        let metrics = Metrics::new().map_err(resources::no_metrics)?;
        let redis = Redis::new(&settings, metrics).map_err(resources::unusable_url)?;
        Ok(Some(Self(redis)))
    }

    /// Sends a revocation to every gateway that listens.
    ///
    /// # Errors
    /// Redis does not accept the message.
    pub(super) fn publish(&self, id: &str) -> Result<Receivers, String> {
        let publishing = self.0.publish(CHANNEL, id);
        let receivers = actix_rt::System::new().block_on(publishing);
        receivers.map_err(|error| unpublished(&error))
    }

    /// Revokes tokens of issuers, at every gateway that listens and at those that start later.
    ///
    /// # Errors
    /// Redis does not accept it.
    pub(super) fn revoke_tokens(&self, name: &str) -> Result<Receivers, String> {
        // First the mark: a gateway that starts meanwhile finds it.
        let marking = actix_rt::System::new().block_on(marks::set(&self.0, name));
        marking.map_err(|error| unpublished(&error))?;
        self.publish(name)
    }

    /// Makes every gateway forget the auth service's verdict on a key.
    pub(super) fn forget(&self, id: &str, url: &Url, format: Format) -> Result<ExitCode, Failure> {
        // A key must not go through Redis to every gateway.
        if id.is_empty() || id.len() > LONGEST_ID || key::is_in(id) || key::has_jwt(id) {
            return Err(Failure::new(
                "this is not the id of a key: write the id, which has at most 128 bytes, and not the key",
            ));
        }
        let receivers = self.publish(id);
        if format == Format::Json {
            let told = receivers.as_ref().ok().copied().flatten();
            print_json(&json!({ "id": id, "forgotten": receivers.is_ok(), "told": told }));
        }
        report(&receivers);
        if matches!(receivers, Err(_) | Ok(Some(0))) {
            return Ok(ExitCode::FAILURE);
        }
        print_message(format_args!(
            "they ask the auth service at {url} about it again, which must refuse it from now on"
        ));
        Ok(ExitCode::SUCCESS)
    }
}

fn unpublished(error: &RedisError) -> String {
    format!("{} the revocation did not reach Redis: {error}", Code::RevocationNotPublished)
}

/// Prints how many gateways received a revocation.
pub(super) fn report(receivers: &Result<Receivers, String>) -> ExitCode {
    match receivers {
        Ok(Some(0)) => {
            print_message(format_args!("{} no gateway listens at this Redis", Code::RevocationNotPublished))
        }
        Ok(Some(1)) => print_message("1 gateway received the revocation through Redis"),
        Ok(Some(count)) => {
            print_message(format_args!("{count} gateways received the revocation through Redis"))
        }
        Ok(None) => print_message(
            "the revocation was sent through Redis; a cluster does not say how many gateways received it",
        ),
        Err(error) => {
            print_message(format_args!(
                "{error}; gateways that do not read this file still accept the key: run this again when Redis works"
            ));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
