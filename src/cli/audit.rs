//! `audit verify`: whether an audit stream is unchanged and complete.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Failure,
    format::{Output, print, print_json, print_message},
};
use crate::audit::{Fault, Verification};

#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find changed, moved and missing records; give rotated files in their order, the newest last
    #[command(after_help = "Example:\n  hokusai-gateway audit verify /var/log/hokusai/audit.jsonl")]
    Verify {
        /// There are earlier files, which are elsewhere
        #[arg(long)]
        continued: bool,
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
}

impl Audit {
    /// Exit status 0 for a stream without faults, 1 for any other.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Command::Verify { files, continued, output } = self.command;
        let mut stream = Stream::default();
        for file in &files {
            stream.read(file).map_err(|error| Failure::new(format_args!("{}: {error}", file.display())))?;
        }
        stream.verification.end();
        let missing_before = stream.verification.first.filter(|first| *first > 1 && !continued);
        if output.is_json() {
            print_json(&stream.json(missing_before));
        } else {
            stream.print_faults(missing_before);
            print(&stream.text());
        }
        let is_whole = stream.verification.is_whole() && missing_before.is_none();
        Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The stream in several files.
#[derive(Default)]
struct Stream<'a> {
    verification: Verification,
    /// The number of lines before each file.
    files: Vec<(usize, &'a Path)>,
}

impl<'a> Stream<'a> {
    fn read(&mut self, path: &'a Path) -> io::Result<()> {
        self.files.push((self.verification.lines(), path));
        let mut file = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line)? > 0 {
            self.verification.line(line.strip_suffix(b"\n").unwrap_or(&line));
            line.clear();
        }
        Ok(())
    }

    /// The file that a fault is in, and its line there.
    fn place(&self, fault: &Fault) -> (&Path, usize) {
        let before = self.files.iter().rev().find(|(before, _)| *before < fault.line);
        before.map_or((Path::new(""), fault.line), |(before, file)| (*file, fault.line - before))
    }

    fn print_faults(&self, missing_before: Option<u64>) {
        let Verification { faults, fault_count, .. } = &self.verification;
        if let (Some(first), Some((_, file))) = (missing_before, self.files.first()) {
            print_message(format_args!(
                "{}: begins with record {first}: earlier records are missing, or in files that belong before this one \
                 (--continued if they are elsewhere)",
                file.display()
            ));
        }
        for fault in faults {
            let (file, line) = self.place(fault);
            print_message(format_args!("{}, line {line}: {}", file.display(), fault.what));
        }
        if *fault_count > faults.len() {
            print_message(format_args!("and {} more", fault_count - faults.len()));
        }
    }

    /// The result for a person, and what the stream cannot show.
    fn text(&self) -> String {
        let found = &self.verification;
        let (Some(first), Some(last)) = (found.first, found.last()) else { return "no records\n".to_owned() };
        let mut text = match found.fault_count {
            0 => format!("records {first} to {last}, unchanged\n"),
            faults => format!("records {first} to {last}, {faults} faults\n"),
        };
        for lost in &found.lost {
            text += &format!(
                "record {}: {} records were lost, {} of them changes\n",
                lost.record, lost.records, lost.changes
            );
        }
        if found.summed > 0 {
            text += &format!("{} more refusals were counted and not recorded\n", found.summed);
        }
        for number in &found.killed {
            text += &format!(
                "record {number}: its process was killed; records that it had not written are lost\n"
            );
        }
        if !found.unended.is_empty() {
            let numbers: Vec<_> = found.unended.iter().take(20).map(ToString::to_string).collect();
            let numbers = numbers.join(", ");
            text += &format!("{} changes have an unknown outcome (records {numbers})\n", found.unended.len());
        }
        text + &format!(
            "not shown: whether records after {last} are missing, or the whole stream was rewritten\n"
        )
    }

    fn json(&self, missing_before: Option<u64>) -> Value {
        let found = &self.verification;
        let fault = |fault| {
            let (file, line) = self.place(fault);
            json!({ "file": file.display().to_string(), "line": line, "what": fault.what })
        };
        let lost = found.lost.iter();
        let lost =
            lost.map(|lost| json!({ "record": lost.record, "lost": lost.records, "changes": lost.changes }));
        json!({
            "ok": found.is_whole() && missing_before.is_none(),
            "first": found.first,
            "last": found.last(),
            "begins_in_the_middle": missing_before.is_some(),
            "fault_count": found.fault_count,
            "faults": found.faults.iter().map(fault).collect::<Vec<_>>(),
            "lost": lost.collect::<Vec<_>>(),
            "more": found.summed,
            "killed": found.killed,
            "unended": found.unended,
        })
    }
}
