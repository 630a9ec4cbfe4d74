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
        let counts = totals.counts.iter().map(|(name, total)| {
            (*name, "Count", rounded(total - before.counts.get(name).copied().unwrap_or_default()))
        });
        let distributions = totals.distributions.iter().filter_map(|(name, distribution)| {
            Some((*name, "Milliseconds", distribution.since(before.distributions.get(name))?))
        });
        let gauges = totals.gauges.iter().map(|(name, value)| (*name, "None", rounded(*value)));
        let heartbeat = [("Heartbeat", "Count", 1.into())];
        let metrics = counts.chain(distributions).chain(gauges).chain(heartbeat).collect();
        let mut lines = vec![self.line(now, metrics, None)];
        for (class, total) in &totals.errors {
            let count = total - before.errors.get(class).copied().unwrap_or_default();
            if count > 0.0 {
                lines.push(self.line(now, vec![("Errors", "Count", rounded(count))], Some(class)));
            }
        }
        lines
    }

    /// `metrics`: each with its unit and its value.
    fn line(&self, now: Timestamp, metrics: Vec<(&str, &str, Value)>, class: Option<&str>) -> String {
        let mut dimensions = vec!["Service", "Env"];
        dimensions.extend(class.map(|_| "ErrorClass"));
        let definitions: Vec<Value> =
            metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions });
        let about = json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive] });
        let texts = [("Service", Some(&*self.service)), ("Env", Some(&*self.env)), ("ErrorClass", class)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?.into())));
        let values = metrics.into_iter().map(|(name, _, value)| (name, value));
        let line = [("_aws", about)].into_iter().chain(texts).chain(values);
        let line: Map<String, Value> = line.map(|(name, value)| (name.to_owned(), value)).collect();
        format!("{}\n", Value::Object(line))
    }
}

/// Whole where it is whole, else to three places.
fn rounded(number: f64) -> Value {
    if number.fract() == 0.0 { (number as i64).into() } else { ((number * 1e3).round() / 1e3).into() }
}

#[cfg(test)]
mod tests;
