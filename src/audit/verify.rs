//! Verifies the hash chain of a stream, and collects what the stream itself says is missing.

use std::{collections::BTreeSet, fmt};

use super::chain::{self, LineFields, NOTHING, Tip, Unsound};

/// Faults that are listed; further ones are counted.
const MAX_FAULTS: usize = 100;

/// A line that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// A line of the stream that counts lost records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Its number.
    pub record: u64,
    pub records: u64,
    /// Those among them of requests that may have changed something.
    pub changes: u64,
}

/// The result, line by line. It cannot show that lines are missing at the end.
#[derive(Debug, Default)]
pub struct Verification {
    lines: usize,
    /// The number of the first line that could be read. The caller knows whether it should be 1.
    pub first: Option<u64>,
    tip: Option<Tip>,
    /// Lines that were changed, cut off, or do not follow the line before them, in order.
    pub faults: Vec<Fault>,
    /// The number of all faults, also of those that are not listed.
    pub fault_count: usize,
    /// Records that the stream says were lost.
    pub lost: Vec<Lost>,
    /// Refusals that were counted and have no record.
    pub summed: u64,
    /// The numbers of `begun` records whose requests have no outcome in the stream.
    pub unended: BTreeSet<u64>,
    /// The numbers of `started` lines of processes that were killed, perhaps with records that they had not written.
    pub killed: Vec<u64>,
    /// The number of the `started` line of a process that has not stopped.
    running: Option<u64>,
    /// A line that is not whole, and its digest, until the next line says whether the writer knew of it.
    broken: Option<(Fault, String)>,
}

impl Verification {
    /// Takes the next line, without its line end.
    pub fn line(&mut self, bytes: &[u8]) {
        self.lines += 1;
        let read = str::from_utf8(bytes).map_err(|_| Unsound::NotWhole).and_then(chain::read);
        if let Some((mut fault, digest)) = self.broken.take() {
            if let Ok((fields, _)) = &read
                && fields.event.as_deref() == Some("torn")
                && fields.digest == Some(digest)
            {
                fault.what = format!("was cut off while it was written, as record {} says", fields.number);
            }
            self.fault(fault);
        }
        match read {
            Ok((fields, tip)) => {
                self.follow(&fields);
                self.first.get_or_insert(fields.number);
                self.collect(fields);
                self.tip = Some(tip);
            }
            Err(Unsound::Changed(stated)) => {
                self.fault_here("was changed: its hash does not match");
                // The lines after it are judged by the place that it claims.
                self.tip = stated.or(self.tip.take());
            }
            Err(Unsound::NotWhole) => {
                let what = "is not a whole line of an audit stream".to_owned();
                self.broken = Some((Fault { line: self.lines, what }, chain::digest(bytes)));
            }
        }
    }

    /// Call it after the last line.
    pub fn end(&mut self) {
        if let Some((fault, _)) = self.broken.take() {
            self.fault(fault);
        }
    }

    /// The number of the last line that could be read.
    pub fn last(&self) -> Option<u64> {
        self.tip.as_ref().map(|tip| tip.number)
    }

    /// How many lines there are so far.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Whether nothing is missing, as far as the stream can show.
    pub fn is_whole(&self) -> bool {
        self.fault_count == 0 && self.lost.is_empty()
    }

    fn follow(&mut self, line: &LineFields) {
        let what = match &self.tip {
            Some(tip) if line.number == tip.number + 1 && line.previous == tip.hash => return,
            None if line.number > 1 || line.previous == NOTHING => return,
            Some(tip) if line.number > tip.number + 1 => {
                format!(
                    "does not follow the line before it: {} missing",
                    records(tip.number + 1, line.number - 1)
                )
            }
            _ => "does not follow the line before it: a line is missing, or the lines were reordered"
                .to_owned(),
        };
        self.fault_here(&what);
    }

    /// Collects what the stream says of itself.
    fn collect(&mut self, LineFields { number, event, lost, changes, more, begun, outcome, .. }: LineFields) {
        match event.as_deref() {
            Some("started") => self.killed.extend(self.running.replace(number)),
            Some("stopped") => self.running = None,
            Some("lost") => self.lost.push(Lost { record: number, records: lost, changes }),
            Some("more") => self.summed += more,
            _ if outcome.as_deref() == Some("begun") => {
                self.unended.insert(number);
            }
            _ => {
                if let Some(begun) = begun {
                    self.unended.remove(&begun);
                }
            }
        }
    }

    fn fault_here(&mut self, what: &str) {
        self.fault(Fault { line: self.lines, what: what.to_owned() });
    }

    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }
}

fn records(first: u64, last: u64) -> String {
    if first == last { format!("record {first} is") } else { format!("records {first} to {last} are") }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::audit::event::Event;

    fn stream(entries: &[Value]) -> Vec<String> {
        let mut tip = Tip::default();
        entries.iter().map(|entry| tip.seal(entry).unwrap()).collect()
    }

    fn paths(lines: usize) -> Vec<String> {
        stream(&(0..lines).map(|line| json!({ "path": format!("/{line}") })).collect::<Vec<_>>())
    }

    fn verify(text: &str) -> Verification {
        let mut verification = Verification::default();
        text.lines().for_each(|line| verification.line(line.as_bytes()));
        verification.end();
        verification
    }

    fn faults(text: &str) -> Vec<String> {
        verify(text).faults.iter().map(ToString::to_string).collect()
    }

    fn event(event: &Event) -> Value {
        serde_json::to_value(event).unwrap()
    }

    #[test]
    fn a_stream_as_it_was_written_is_whole() {
        let lines = paths(4);
        let whole = verify(&lines.concat());
        assert!(whole.is_whole());
        assert_eq!((whole.first, whole.last()), (Some(1), Some(4)));
        let behind_a_rotation = verify(&lines[3]);
        assert!(behind_a_rotation.is_whole());
        assert_eq!((behind_a_rotation.first, behind_a_rotation.last()), (Some(4), Some(4)));
        let nothing = verify("");
        assert_eq!((nothing.is_whole(), nothing.first, nothing.last()), (true, None, None));
    }

    #[test]
    fn whatever_is_changed_missing_or_moved_is_found_where_it_is_and_what_stands_behind_it_is_looked_at() {
        let lines = paths(6);
        let missing = "does not follow the line before it: record 2 is missing";
        let order = "does not follow the line before it: a line is missing, or the lines were reordered";
        let changed = "was changed: its hash does not match";
        let torn = "is not a whole line of an audit stream";
        let pick = |numbers: &[usize]| numbers.iter().map(|number| &*lines[number - 1]).collect::<String>();
        let change = |text: String, of: &str| text.replace(&format!("\"/{of}\""), "\"/x\"");
        for (name, text, expected) in [
            ("a field", change(pick(&[1, 2, 3]), "1"), vec![(2, changed)]),
            ("two fields", change(change(lines.concat(), "1"), "4"), vec![(2, changed), (5, changed)]),
            ("the last line", change(pick(&[1, 2]), "1"), vec![(2, changed)]),
            ("a line is missing", pick(&[1, 3, 4]), vec![(2, missing)]),
            ("and one is changed behind it", change(pick(&[1, 3, 4]), "3"), vec![(2, missing), (3, changed)]),
            (
                "two change places",
                pick(&[1, 3, 2, 4]),
                vec![(2, missing), (3, order), (4, &*missing.replace('2', "3"))],
            ),
            ("one is there twice", pick(&[1, 1, 2]), vec![(2, order)]),
            ("one is added", [&lines[0][..], "{}\n", &lines[1]].concat(), vec![(2, torn)]),
            ("one is empty", [&lines[0][..], "\n", &lines[1]].concat(), vec![(2, torn)]),
            ("one is replaced", [&lines[0][..], "{}\n", &lines[2]].concat(), vec![(2, torn), (3, missing)]),
            (
                "the last one broke off",
                lines.concat()[..lines.concat().len() - 5].to_owned(),
                vec![(6, torn)],
            ),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(line, what)| format!("line {line}: {what}")).collect();
            assert_eq!(faults(&text), expected, "{name}");
        }
    }

    #[test]
    fn what_the_stream_says_of_itself_is_told() {
        let time = Timestamp::now();
        let lines = stream(&[
            event(&Event::Started { time, version: "1" }),
            event(&Event::Lost { time, lost: 7, changes: 2, since: time, until: time }),
            json!({ "outcome": "begun" }),
            json!({ "outcome": "begun" }),
            json!({ "outcome": "ok", "begun": 4 }),
            event(&Event::More { time, more: 9, client_ip: None, key_id: None, sources: None, since: time }),
            json!({ "outcome": "begun" }),
            event(&Event::Withdrawn { time, begun: 7 }),
            event(&Event::Started { time, version: "1" }),
            event(&Event::Stopped { time }),
            event(&Event::Started { time, version: "1" }),
        ]);
        let told = verify(&lines.concat());
        assert!(told.faults.is_empty() && !told.is_whole(), "records that were lost are missing");
        assert_eq!(told.lost, [Lost { record: 2, records: 7, changes: 2 }]);
        assert_eq!(told.summed, 9);
        assert_eq!(told.unended, BTreeSet::from([3]));
        assert_eq!(told.killed, [1], "the second one stopped in order, the third is running");
    }

    #[test]
    fn a_torn_line_is_known_where_the_next_one_says_so() {
        let torn = "{\"number\":2,\"prev";
        let said = |digest: String| event(&Event::Torn { time: Timestamp::now(), torn: torn.len(), digest });
        let known = stream(&[json!({ "path": "/" }), said(chain::digest(torn.as_bytes()))]);
        let text = [&known[0], torn, "\n", &known[1]].concat();
        assert_eq!(faults(&text), ["line 2: was cut off while it was written, as record 2 says"]);
        assert!(!verify(&text).is_whole());
        let of_another = stream(&[json!({ "path": "/" }), said(chain::digest(b"another"))]);
        let text = [&of_another[0], torn, "\n", &of_another[1]].concat();
        assert_eq!(faults(&text), ["line 2: is not a whole line of an audit stream"]);
    }

    #[test]
    fn what_is_no_stream_at_all_takes_no_memory_for_its_faults() {
        let found = verify(&"x\n".repeat(10_000));
        assert_eq!((found.faults.len(), found.fault_count), (MAX_FAULTS, 10_000));
    }
}
