//! `audit`: whether an audit stream is what was written.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::json;

use super::format::{Output, print, print_json};
use crate::audit;

#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find a changed, missing or moved line; files that were put aside are given in their order, the newest last
    #[command(after_help = "Example:\n  hokusai-gateway audit verify /var/log/hokusai/audit.jsonl")]
    Verify {
        /// The files before the first of these are elsewhere
        #[arg(long)]
        continued: bool,
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
}

impl Audit {
    /// 0 for a stream that is whole, 1 for one that is not.
    pub(super) fn run(self) -> ExitCode {
        let Command::Verify { files, continued, output } = self.command;
        match verify(&files, continued) {
            Ok(range) if output.is_json() => {
                let (first, last) = range.unzip();
                print_json(&json!({ "ok": true, "first": first, "last": last }));
                ExitCode::SUCCESS
            }
            Ok(Some((first, last))) => {
                print(&format!("records {first} to {last}, each as it was written\n"));
                ExitCode::SUCCESS
            }
            Ok(None) => {
                print("no records\n");
                ExitCode::SUCCESS
            }
            Err(Wrong { file, line, what }) => {
                let file = file.display().to_string();
                if output.is_json() {
                    print_json(&json!({ "ok": false, "file": file, "line": line, "what": what }));
                } else {
                    let line = line.map_or_else(String::new, |line| format!(", line {line}"));
                    eprintln!("{file}{line}: {what}");
                }
                ExitCode::FAILURE
            }
        }
    }
}

/// Where a stream is not what was written.
struct Wrong {
    file: PathBuf,
    line: Option<usize>,
    what: String,
}

/// The numbers of the first and the last record, if there is one.
fn verify(files: &[PathBuf], continued: bool) -> Result<Option<(u64, u64)>, Wrong> {
    let (mut stream, mut starts) = (String::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(file);
        let text = text.map_err(|error| Wrong { file: file.clone(), line: None, what: error.to_string() })?;
        starts.push((stream.lines().count(), file));
        stream.push_str(&text);
        if !text.is_empty() && !text.ends_with('\n') {
            stream.push('\n');
        }
    }
    match audit::verify(&stream) {
        Ok(Some((first, _))) if first > 1 && !continued => Err(Wrong {
            file: files[0].clone(),
            line: None,
            what: format!(
                "begins with record {first}: those before it are missing, or in files to be named before it \
                 (--continued if they are elsewhere)"
            ),
        }),
        Ok(range) => Ok(range),
        Err(fault) => {
            let (before, file) =
                starts.iter().rev().find(|(before, _)| *before < fault.line).unwrap_or(&starts[0]);
            Err(Wrong {
                file: (*file).clone(),
                line: Some(fault.line - before),
                what: fault.what.to_string(),
            })
        }
    }
}
