//! When somebody ends a command: it has time to remove what it made.

use actix_rt::signal::unix::{SignalKind, signal};

/// Ctrl-C, SIGTERM, or a terminal that is closed.
pub(super) async fn stopped() {
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
