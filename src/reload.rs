//! SIGHUP: reloads the settings, and applies those that can change while the gateway runs.

use std::{mem, sync::Arc};

use actix_rt::signal::unix::Signal;

use crate::{
    code::Code,
    gateway::Shared,
    settings::{Problems, Settings},
    telemetry::LogFilter,
};

/// How settings are loaded, and the log filter that follows them.
pub struct Reload {
    pub load: Box<dyn Fn() -> Result<Settings, Problems>>,
    pub log_filter: LogFilter,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reload(…)")
    }
}

/// The actor that reloads the settings at each SIGHUP.
pub(crate) async fn run(reload: Reload, shared: Arc<Shared>, mut hangup: Signal) {
    let mut failed = false;
    while hangup.recv().await.is_some() {
        match (reload.load)() {
            Ok(settings) => {
                let needs_restart = shared.settings.differs_beyond_live(&settings);
                reload.log_filter.set(&settings.telemetry.filter);
                shared.follow(&settings);
                let ended = mem::take(&mut failed).then(|| Code::SettingsNotReloaded.text());
                if needs_restart.is_empty() {
                    tracing::info!(code = ended, "settings reloaded");
                } else {
                    let sections = needs_restart.join(", ");
                    tracing::warn!(
                        code = Code::RestartNeeded.text(),
                        sections,
                        "settings reloaded; changes in some sections need a restart"
                    );
                }
            }
            Err(problems) => {
                failed = true;
                tracing::error!(code = Code::SettingsNotReloaded.text(), %problems, "settings reload failed; keeping the previous ones");
            }
        }
    }
}
