//! An audit stream as its readers see it.

use hokusai_gateway::audit::Verification;
use serde_json::Value;

/// What `audit verify` finds.
pub fn verify(text: &str) -> Verification {
    let mut verification = Verification::default();
    text.lines().for_each(|line| verification.line(line.as_bytes()));
    verification.end();
    verification
}

/// The numbers of the first and the last line of a stream from which nothing is missing.
pub fn whole(text: &str) -> Option<(u64, u64)> {
    let found = verify(text);
    found.is_whole().then(|| found.first.zip(found.last())).flatten()
}

/// Its whole lines.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The records of requests in it.
pub fn requests(text: &str) -> Vec<Value> {
    lines(text).into_iter().filter(|line| line["event"].is_null()).collect()
}

/// The events of a kind.
pub fn events(text: &str, kind: &str) -> Vec<Value> {
    lines(text).into_iter().filter(|line| line["event"] == kind).collect()
}
