//! The examples in the documents are right: commands are known to the command line, files to their readers.

use std::{fs, path::Path};

use clap::Parser as _;
use hokusai_gateway::{auth::KeyFile, cli::Cli};

const DOCUMENTS: [&str; 4] = ["README.md", "docs/ACCESS.md", "docs/KEYS.md", "docs/OPERATING.md"];

/// The fenced blocks of a language in all documents.
fn blocks(language: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = DOCUMENTS.iter().map(|document| fs::read_to_string(root.join(document)).unwrap());
    let blocks = |text: String| -> Vec<String> {
        let fence = format!("```{language}\n");
        text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
    };
    texts.flat_map(blocks).collect()
}

#[test]
fn every_command_is_known_to_the_command_line() {
    let mut commands = 0;
    for line in blocks("sh").iter().flat_map(|block| block.lines()) {
        let words = line.split('#').next().unwrap().split_whitespace();
        let command: Vec<&str> = words.skip_while(|word| word.contains('=')).collect();
        if command.first() == Some(&"hokusai-gateway") {
            Cli::try_parse_from(&command).unwrap_or_else(|error| panic!("{line}: {error}"));
            commands += 1;
        }
    }
    assert!(commands > 5, "only {commands} commands were found");
}

#[test]
fn every_setting_variable_is_one() {
    let mut settings = vec![("MLFLOW_SERVER_URL".to_owned(), "http://127.0.0.1:5000".to_owned())];
    for line in
        blocks("sh").iter().flat_map(|block| block.lines()).filter(|line| line.contains("hokusai-gateway"))
    {
        let assignments = line.split_whitespace().filter_map(|word| word.split_once('='));
        // The secrets of the examples are on no machine.
        let set = assignments.filter(|(name, _)| !name.ends_with("_FILE"));
        settings.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    assert!(settings.iter().any(|(name, _)| name.starts_with("HOKUSAI__")));
    hokusai_gateway::settings::Settings::load(None, settings).unwrap();
}

#[test]
fn the_key_file_shown_is_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, blocks("toml").concat()).unwrap();
    KeyFile::open(file.path()).unwrap();
}
