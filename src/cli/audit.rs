//! `audit`: whether an audit stream is what was written.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

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
    },
}

impl Audit {
    /// 0 for a stream that is whole, 1 for one that is not.
    pub(super) fn run(self) -> ExitCode {
        let Command::Verify { files, continued } = self.command;
        let (mut stream, mut starts) = (String::new(), Vec::new());
        for file in &files {
            match fs::read_to_string(file) {
                Ok(text) => {
                    starts.push((stream.lines().count(), file));
                    stream.push_str(&text);
                    if !text.is_empty() && !text.ends_with('\n') {
                        stream.push('\n');
                    }
                }
                Err(error) => {
                    eprintln!("{}: {error}", file.display());
                    return ExitCode::FAILURE;
                }
            }
        }
        match audit::verify(&stream) {
            Ok(Some((first, _))) if first > 1 && !continued => {
                eprintln!(
                    "{}: begins with record {first}: those before it are missing, or in files to be named before it \
                     (--continued if they are elsewhere)",
                    files[0].display()
                );
                ExitCode::FAILURE
            }
            Ok(Some((first, last))) => {
                println!("records {first} to {last}, each as it was written");
                ExitCode::SUCCESS
            }
            Ok(None) => {
                println!("no records");
                ExitCode::SUCCESS
            }
            Err(fault) => {
                let (before, file) =
                    starts.iter().rev().find(|(before, _)| *before < fault.line).unwrap_or(&starts[0]);
                eprintln!("{}, line {}: {}", file.display(), fault.line - before, fault.what);
                ExitCode::FAILURE
            }
        }
    }
}
