//! `serve`: runs the gateway.

use std::{
    panic::{self, PanicHookInfo},
    path::Path,
    process::ExitCode,
};

use super::{Failure, Loaded};
use crate::{
    code::Code,
    reload::Reload,
    resources::Resources,
    settings::Settings,
    startup::{Application, StartupError},
    telemetry::{self, Lines, Log, TraceExporter},
};

pub(super) fn run(config: Option<&Path>) -> Result<ExitCode, Failure> {
    let Loaded { settings, mut resources, warnings } = super::load(config)?;
    let Log { filter, lines, requests, traces, writer } =
        telemetry::init(&settings.telemetry, &resources.metrics)
            .map_err(|error| Failure::new(format_args!("{} no log: {error}", Code::LogFilterNotSet)))?;
    panic::set_hook(Box::new(log_panic));
    resources.log = Some(requests);
    for warning in &warnings {
        let (key, found, write) = (&warning.key, &warning.found, &warning.fix);
        tracing::warn!(code = warning.code.text(), key, found, write, "{key} {}", warning.what);
    }
    let config = config.map(Path::to_owned);
    let load = Box::new(move || Settings::load(config.as_deref(), super::environment()));
    let reload = Reload { load, log_filter: filter };
    let outcome = actix_rt::System::new().block_on(serve(settings, resources, reload, (lines, traces)));
    if let Err(error) = &outcome {
        tracing::error!(code = code_of(&**error).text(), %error, "the gateway ended");
    }
    drop(writer);
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn code_of(error: &(dyn std::error::Error + 'static)) -> Code {
    error.downcast_ref::<StartupError>().map_or(Code::GatewayEnded, StartupError::code)
}

/// Logs a panic. Only a message from the source code is safe: a formatted one may hold data of a client.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    let what = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(not shown)");
    tracing::error!(code = Code::Defect.text(), at, what, "a panic");
}

async fn serve(
    settings: Settings,
    resources: Resources,
    reload: Reload,
    (lines, traces): (Lines, Option<TraceExporter>),
) -> Result<(), Box<dyn std::error::Error>> {
    let (mlflow, config_hash) = (
        settings.mlflow.urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        settings.fingerprint(),
    );
    let application = Application::build(settings, resources)?.exporting(traces).reloading(reload)?;
    let application = application.telling_cloudwatch(lines);
    tracing::info!(
        address = %application.address(),
        metrics_address = application.metrics_address().map(tracing::field::display),
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
