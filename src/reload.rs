//! SIGHUP: settings are read again, and those that can change while the gateway runs do.

use std::sync::Arc;

use actix_rt::signal::unix::Signal;

use crate::{
    code::Code,
    gateway::Shared,
    settings::{Problems, Settings},
    telemetry::LogFilter,
};

/// Where settings come from, and what follows them beside the gateway.
pub struct Reload {
    pub load: Box<dyn Fn() -> Result<Settings, Problems>>,
    pub log_filter: LogFilter,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reload(…)")
    }
}

/// The actor that reads the settings again at every hang-up.
pub(crate) async fn run(reload: Reload, shared: Arc<Shared>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        match (reload.load)() {
            Ok(settings) => {
                let needs_restart = shared.settings.differs_beyond_live(&settings);
                reload.log_filter.set(&settings.telemetry.filter);
                shared.follow(&settings);
                if needs_restart.is_empty() {
                    tracing::info!(code = Code::SettingsNotReloaded.text(), "settings taken over");
                } else {
                    let sections = needs_restart.join(", ");
                    tracing::warn!(
                        code = Code::RestartNeeded.text(),
                        sections,
                        "settings taken over, but for what needs a restart"
                    );
                }
            }
            Err(problems) => {
                tracing::error!(code = Code::SettingsNotReloaded.text(), %problems, "settings not taken over: those in force stay")
            }
        }
    }
}
