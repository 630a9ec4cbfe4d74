//! `completions` and `man`: made from the command line by clap's own crates.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, Failure, format::print};

const NAME: &str = "hokusai-gateway";

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManPage {
    /// Write a page for each command into this folder, instead of the main page to standard output
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), NAME, &mut script);
        print(&String::from_utf8_lossy(&script));
        Ok(ExitCode::SUCCESS)
    }
}

impl ManPage {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let rendered = self.render();
        rendered.map_err(|error| Failure::new(format_args!("the manual cannot be written: {error}")))?;
        Ok(ExitCode::SUCCESS)
    }

    fn render(self) -> io::Result<()> {
        let command = Cli::command();
        if let Some(folder) = self.into {
            fs::create_dir_all(&folder)?;
            return clap_mangen::generate_to(command, folder);
        }
        let mut page = Vec::new();
        Man::new(command.disable_help_subcommand(true)).render(&mut page)?;
        print(&String::from_utf8_lossy(&page));
        Ok(())
    }
}
