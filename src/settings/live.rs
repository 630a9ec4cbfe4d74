//! The settings that can change while the gateway runs.

use std::num::NonZeroU32;

use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::{ForwardedHeader, Mode, Policy, Settings, UpstreamAuth};

/// Read again at SIGHUP.
#[derive(Debug, Clone)]
pub struct Live {
    pub trusted_proxies: Vec<IpNet>,
    pub forwarded_header: ForwardedHeader,
    pub metrics_allow: Vec<IpNet>,
    pub policy: Policy,
    pub limits_mode: Mode,
    pub limits_per_hour: NonZeroU32,
}

impl Settings {
    pub fn live(&self) -> Live {
        Live {
            trusted_proxies: self.server.trusted_proxies.clone(),
            forwarded_header: self.server.forwarded_header,
            metrics_allow: self.metrics.allow.clone(),
            policy: self.policy.clone(),
            limits_mode: self.limits.mode,
            limits_per_hour: self.limits.per_hour,
        }
    }

    /// The sections in which `new` differs by more than can change while the gateway runs.
    pub fn differs_beyond_live(&self, new: &Self) -> Vec<&'static str> {
        let mut as_if = new.clone();
        as_if.server.trusted_proxies.clone_from(&self.server.trusted_proxies);
        as_if.server.forwarded_header = self.server.forwarded_header;
        as_if.metrics.allow.clone_from(&self.metrics.allow);
        as_if.policy.clone_from(&self.policy);
        as_if.limits.mode = self.limits.mode;
        as_if.limits.per_hour = self.limits.per_hour;
        as_if.telemetry.filter.clone_from(&self.telemetry.filter);
        let sections = |of: &Self| {
            [
                ("server", format!("{:?}", of.server)),
                ("mlflow", format!("{:?} {}", of.mlflow, secret_of(&of.mlflow.auth))),
                ("auth", format!("{:?} {}", of.auth, digest(of.auth.pepper.as_ref()))),
                ("redis", format!("{:?} {}", of.redis, digest(of.redis.as_ref().map(|redis| &redis.url)))),
                ("limits", format!("{:?}", of.limits)),
                ("audit", format!("{:?}", of.audit)),
                ("metrics", format!("{:?}", of.metrics)),
                ("telemetry", format!("{:?}", of.telemetry)),
            ]
        };
        let (ours, theirs) = (sections(self), sections(&as_if));
        ours.iter().zip(theirs).filter(|(ours, theirs)| ours.1 != theirs.1).map(|(ours, _)| ours.0).collect()
    }
}

fn secret_of(auth: &UpstreamAuth) -> String {
    digest(match auth {
        UpstreamAuth::None => None,
        UpstreamAuth::Bearer(token) => Some(token),
        UpstreamAuth::Basic { password, .. } => Some(password),
    })
}

/// Tells two secrets apart, which their Debug output does not.
fn digest(secret: Option<&SecretString>) -> String {
    secret.map_or_else(String::new, |secret| hex::encode(Sha256::digest(secret.expose_secret())))
}
