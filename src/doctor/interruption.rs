//! Signals that end a command: it has time to remove what it made.

use actix_rt::signal::unix::{SignalKind, signal};

/// A signal ended the command.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// Waits for Ctrl-C, SIGTERM, or the end of the terminal.
pub(crate) async fn interrupted() {
    let [interrupt, terminate, hangup] =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (interrupt, terminate, hangup) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
