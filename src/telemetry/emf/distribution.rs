//! From Prometheus's histogram to CloudWatch's values and counts.

use prometheus::proto::Metric;
use serde_json::{Value, json};

use super::rounded;

#[derive(Debug, Clone, Default)]
pub(super) struct Distribution {
    /// Upper bounds in milliseconds, and how many values are not above each.
    buckets: Vec<(f64, f64)>,
    count: f64,
    sum: f64,
}

impl Distribution {
    /// Adds a histogram with the same buckets.
    pub(super) fn add(&mut self, metric: &Metric) {
        let histogram = metric.get_histogram();
        self.count += histogram.get_sample_count() as f64;
        self.sum += histogram.get_sample_sum() * 1e3;
        for (at, bucket) in histogram.get_bucket().iter().enumerate() {
            let (bound, count) = (bucket.upper_bound() * 1e3, bucket.cumulative_count() as f64);
            match self.buckets.get_mut(at) {
                Some((_, total)) => *total += count,
                None => self.buckets.push((bound, count)),
            }
        }
    }

    /// The values since `before`, each as its bucket's upper bound; `None` if there are none.
    pub(super) fn since(&self, before: Option<&Self>) -> Option<Value> {
        let nothing = Self::default();
        let before = before.unwrap_or(&nothing);
        let (mut values, mut counts, mut below) = (Vec::new(), Vec::new(), 0.0);
        let last = self.buckets.last().map_or(0.0, |(bound, _)| *bound);
        let all = self.buckets.iter().enumerate().map(|(at, (bound, count))| {
            (*bound, count - before.buckets.get(at).map_or(0.0, |(_, count)| *count))
        });
        for (bound, cumulative) in
            all.chain([(last * 2.0, self.count - before.count)]).filter(|(bound, _)| bound.is_finite())
        {
            if cumulative > below {
                values.push(rounded(bound));
                counts.push(rounded(cumulative - below));
                below = cumulative;
            }
        }
        let (min, max) = (values.first()?.clone(), values.last()?.clone());
        Some(json!({
            "Values": values, "Counts": counts,
            "Min": min, "Max": max, "Count": rounded(below), "Sum": rounded(self.sum - before.sum),
        }))
    }
}
