//! `serve`: runs the gateway.

use std::{path::Path, process::ExitCode};

use tracing_appender::non_blocking::NonBlocking;

use crate::{
    reload::Reload,
    resources::Resources,
    settings::Settings,
    startup::Application,
    telemetry::{self, Log},
};

pub(super) fn run(config: Option<&Path>) -> ExitCode {
    let (settings, resources) = match super::load(config) {
        Ok(loaded) => loaded,
        Err(problems) => return super::bad_settings(&problems),
    };
    let Log { filter, lines, writer: _writer } = telemetry::init(&settings.telemetry, &resources.metrics);
    let config = config.map(Path::to_owned);
    let load = Box::new(move || Settings::load(config.as_deref(), super::environment()));
    let reload = Reload { load, log_filter: filter };
    match actix_rt::System::new().block_on(serve(settings, resources, reload, lines)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the gateway ended");
            ExitCode::FAILURE
        }
    }
}

async fn serve(
    settings: Settings,
    resources: Resources,
    reload: Reload,
    lines: NonBlocking,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mlflow, config_hash) = (
        settings.mlflow.urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        settings.fingerprint(),
    );
    let application = Application::build(settings, resources)?.reloading(reload)?.telling_cloudwatch(lines);
    tracing::info!(
        address = %application.address(),
        mlflow,
        version = crate::VERSION,
        git_sha = crate::GIT_SHA,
        config_hash,
        "listening"
    );
    application.run_until_stopped().await?;
    tracing::info!("stopped");
    Ok(())
}
