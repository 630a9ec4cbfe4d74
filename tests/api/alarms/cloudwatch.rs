//! As much of CloudWatch as deploy/terraform/alarms/alarms.json asks of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use jiff::Timestamp;
use serde_json::Value;

/// The data points of one period: by metric, and of errors by class.
#[derive(Default)]
pub(super) struct Period {
    /// When the one before it ended, in Unix milliseconds.
    began: i64,
    points: BTreeMap<String, Value>,
    errors: BTreeMap<String, Value>,
}

impl Period {
    /// Whether it lies wholly after this moment.
    pub(super) fn is_since(&self, moment: Timestamp) -> bool {
        self.began > moment.as_millisecond()
    }

    /// Whether there were requests enough for the alarms to judge, on a machine that has other work too.
    pub(super) fn is_busy(&self) -> bool {
        self.points.get("Requests").is_some_and(|requests| statistic(requests, "Sum") > 30.0)
    }
}

/// The periods that a log tells of, without the last one: some of its lines may not be written yet.
pub(super) fn periods(log: &str) -> Vec<Period> {
    let (mut periods, mut end) = (Vec::<Period>::new(), 0);
    // The last line may be half written.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines().filter(|line| line.contains(r#""_aws""#)) {
        let line: Value = serde_json::from_str(line).unwrap();
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap().iter();
        let names = directives.flat_map(|directive| directive["Metrics"].as_array().unwrap());
        let names: Vec<&str> = names.map(|metric| metric["Name"].as_str().unwrap()).collect();
        // A period's own line comes before those of its errors.
        if names.contains(&"Heartbeat") {
            periods.push(Period { began: end, ..Period::default() });
            end = line["_aws"]["Timestamp"].as_i64().unwrap();
        }
        let period = periods.last_mut().unwrap();
        for metric in names {
            let value = line[metric].clone();
            let (of, name) = match line["ErrorClass"].as_str() {
                Some(class) => (&mut period.errors, class),
                None => (&mut period.points, metric),
            };
            of.insert(name.to_owned(), value);
        }
    }
    periods.pop();
    periods
}

/// The alarms that go off in a period. A metric without a point has none, and so has an expression of it.
pub(super) fn off(period: &Period) -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/terraform/alarms/alarms.json");
    let alarms: BTreeMap<String, Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut off = BTreeSet::new();
    for (name, alarm) in &alarms {
        let classes = alarm["classes"].as_array();
        let classes =
            classes.map_or(vec![""], |classes| classes.iter().map(|class| class.as_str().unwrap()).collect());
        for class in classes {
            let variable = |variable: &str| {
                let metric = &alarm["metrics"][variable];
                let point = match metric["name"].as_str().expect("the metric is declared") {
                    "Errors" => period.errors.get(class),
                    name => period.points.get(name),
                };
                point.map(|point| statistic(point, metric["stat"].as_str().unwrap()))
            };
            let result =
                Expression { rest: alarm["expression"].as_str().unwrap(), variable: &variable }.value();
            let threshold = alarm["threshold"].as_f64().unwrap();
            let breaches = match alarm["comparison"].as_str().unwrap() {
                "GreaterThanThreshold" => result.map(|value| value > threshold),
                "LessThanThreshold" => result.map(|value| value < threshold),
                other => panic!("{other}"),
            };
            if breaches.unwrap_or(alarm["missing"] == "breaching") {
                off.insert(if class.is_empty() { name.clone() } else { format!("{name}-{class}") });
            }
        }
    }
    off
}

/// Of a number, or of values that came so many times each.
fn statistic(point: &Value, stat: &str) -> f64 {
    if let Some(number) = point.as_f64() {
        return number;
    }
    let numbers = |name: &str| point[name].as_array().unwrap().iter().map(|number| number.as_f64().unwrap());
    let mut values: Vec<(f64, f64)> = numbers("Values").zip(numbers("Counts")).collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let percentile: f64 = stat.strip_prefix('p').unwrap().parse().unwrap();
    let mut wanted = values.iter().map(|(_, count)| count).sum::<f64>() * percentile / 100.0;
    for (value, count) in &values {
        wanted -= count;
        if wanted < 0.0 {
            return *value;
        }
    }
    values.last().unwrap().0
}

/// `IF(requests > 30, 100 * FILL(errors, 0) / requests)`: what is missing makes everything missing but FILL and an IF that is not met.
struct Expression<'a> {
    rest: &'a str,
    variable: &'a dyn Fn(&str) -> Option<f64>,
}

impl Expression<'_> {
    fn value(mut self) -> Option<f64> {
        let value = self.comparison();
        assert_eq!(self.rest.trim(), "", "this is more than it understands");
        value
    }

    fn comparison(&mut self) -> Option<f64> {
        let left = self.sum();
        if !self.takes(">") {
            return left;
        }
        let right = self.sum();
        Some(f64::from(u8::from(left? > right?)))
    }

    fn sum(&mut self) -> Option<f64> {
        let mut sum = self.product();
        loop {
            let sign = if self.takes("+") {
                1.0
            } else if self.takes("-") {
                -1.0
            } else {
                return sum;
            };
            let next = self.product();
            sum = sum.zip(next).map(|(sum, next)| sum + sign * next);
        }
    }

    fn product(&mut self) -> Option<f64> {
        let mut product = self.one();
        loop {
            let divides = self.takes("/");
            if !divides && !self.takes("*") {
                return product;
            }
            let next = self.one();
            let both = product.zip(next);
            product = both.map(|(product, next)| if divides { product / next } else { product * next });
        }
    }

    fn one(&mut self) -> Option<f64> {
        if self.takes("IF(") {
            let (condition, value) = self.two();
            return if condition? == 0.0 { None } else { value };
        }
        if self.takes("FILL(") {
            let (value, otherwise) = self.two();
            return value.or(otherwise);
        }
        if self.takes("(") {
            let inside = self.comparison();
            assert!(self.takes(")"));
            return inside;
        }
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.parse().ok().or_else(|| (self.variable)(word))
    }

    fn two(&mut self) -> (Option<f64>, Option<f64>) {
        let first = self.comparison();
        assert!(self.takes(","));
        let second = self.comparison();
        assert!(self.takes(")"));
        (first, second)
    }

    fn takes(&mut self, word: &str) -> bool {
        self.rest = self.rest.trim_start();
        let taken = self.rest.strip_prefix(word);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }
}

#[test]
fn expressions_are_worked_out_as_cloudwatch_does() {
    let variable = |name: &str| BTreeMap::from([("a", 3.0), ("b", 4.0)]).get(name).copied();
    for (text, expected) in [
        ("a", Some(3.0)),
        ("a - b", Some(-1.0)),
        ("100 * a / (a + b - 1)", Some(50.0)),
        ("IF(a + b > 6, a)", Some(3.0)),
        ("IF(a + b > 7, a)", None),
        ("none + a", None),
        ("IF(none > 1, a)", None),
        ("IF(a > 1, 100 * FILL(none, 0) / a)", Some(0.0)),
    ] {
        assert_eq!(Expression { rest: text, variable: &variable }.value(), expected, "{text}");
    }
}
