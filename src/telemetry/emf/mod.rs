//! CloudWatch's Embedded Metric Format: log lines from which CloudWatch makes metrics
//! (docs.aws.amazon.com, AmazonCloudWatch, "Specification: Embedded metric format").
//!
//! Once a minute, from the Prometheus metrics: the difference to the minute before.

mod distribution;
mod totals;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

use super::{Lines, Metrics};
use crate::settings::Telemetry;
use totals::Totals;

const NAMESPACE: &str = "Hokusai/Gateway";

/// Asks for the last lines, and is answered when they are added.
pub(crate) type LastLines = mpsc::Sender<oneshot::Sender<()>>;

/// The actor that writes them. Never returns.
pub(crate) async fn run(
    settings: Telemetry,
    metrics: Metrics,
    out: Lines,
    mut last: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut emf = Emf::new(&settings, Totals::of(&metrics.gather()));
    let mut ticks = interval(settings.emf_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        let ending = tokio::select! {
            _ = ticks.tick() => None,
            Some(ending) = last.recv() => Some(ending),
        };
        for line in emf.lines(Timestamp::now(), Totals::of(&metrics.gather())) {
            out.add(line.as_bytes());
        }
        if let Some(ending) = ending {
            let _ = ending.send(());
        }
    }
}

/// Makes the lines of one minute.
struct Emf {
    service: String,
    env: String,
    before: Totals,
}

impl Emf {
    fn new(settings: &Telemetry, before: Totals) -> Self {
        Self { service: settings.service.clone(), env: settings.env.clone(), before }
    }

    /// One line for everything but errors, and one for each class of errors.
    fn lines(&mut self, now: Timestamp, totals: Totals) -> Vec<String> {
        let before = std::mem::replace(&mut self.before, totals.clone());
        let mut metrics = Map::new();
        let mut units = Vec::new();
        for (name, total) in &totals.counts {
            units.push((*name, "Count"));
            metrics.insert(
                (*name).to_owned(),
                rounded(total - before.counts.get(name).copied().unwrap_or_default()),
            );
        }
        for (name, distribution) in &totals.distributions {
            if let Some(values) = distribution.since(before.distributions.get(name)) {
                units.push((*name, "Milliseconds"));
                metrics.insert((*name).to_owned(), values);
            }
        }
        for (name, value) in &totals.gauges {
            units.push((*name, "None"));
            metrics.insert((*name).to_owned(), rounded(*value));
        }
        units.push(("Heartbeat", "Count"));
        metrics.insert("Heartbeat".to_owned(), 1.into());
        let mut lines = vec![self.line(now, &units, metrics, None)];
        for (class, total) in &totals.errors {
            let count = total - before.errors.get(class).copied().unwrap_or_default();
            if count > 0.0 {
                let errors = Map::from_iter([("Errors".to_owned(), rounded(count))]);
                lines.push(self.line(now, &[("Errors", "Count")], errors, Some(class)));
            }
        }
        lines
    }

    fn line(
        &self,
        now: Timestamp,
        units: &[(&str, &str)],
        metrics: Map<String, Value>,
        class: Option<&str>,
    ) -> String {
        let mut dimensions = vec!["Service", "Env"];
        dimensions.extend(class.map(|_| "ErrorClass"));
        let definitions: Vec<Value> =
            units.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
        let mut line = Map::new();
        let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions });
        line.insert(
            "_aws".to_owned(),
            json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive] }),
        );
        line.insert("Service".to_owned(), self.service.as_str().into());
        line.insert("Env".to_owned(), self.env.as_str().into());
        if let Some(class) = class {
            line.insert("ErrorClass".to_owned(), class.into());
        }
        line.extend(metrics);
        format!("{}\n", Value::Object(line))
    }
}

/// Whole where it is whole, else to three places.
fn rounded(number: f64) -> Value {
    if number.fract() == 0.0 { (number as i64).into() } else { ((number * 1e3).round() / 1e3).into() }
}

#[cfg(test)]
mod tests;
