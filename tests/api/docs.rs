//! The examples in the documents are right: commands are known to the command line, files to their readers.

use std::{fs, path::Path};

use clap::{CommandFactory as _, Parser as _};
use hokusai_gateway::{auth::KeyFile, cli::Cli, vocabulary::Reason};

const DOCUMENTS: [&str; 7] = [
    "README.md",
    "docs/ACCESS.md",
    "docs/BROWSER.md",
    "docs/DEPLOYMENT.md",
    "docs/KEYS.md",
    "docs/OPERATING.md",
    "docs/TROUBLESHOOTING.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The fenced blocks of a language in all documents.
fn blocks(language: &str) -> Vec<String> {
    let texts = DOCUMENTS.iter().map(|document| fs::read_to_string(root().join(document)).unwrap());
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
        let line = line.split('#').next().unwrap();
        if let Some(at) = line.find("hokusai-gateway ") {
            let words = line[at..].split_whitespace().take_while(|word| !["|", ">"].contains(word));
            let command: Vec<&str> = words.collect();
            Cli::try_parse_from(&command).unwrap_or_else(|error| panic!("{line}: {error}"));
            commands += 1;
        }
    }
    assert!(commands > 5, "only {commands} commands were found");
}

/// The headings of a document, each a text that somebody sees, with the section that it stands in.
fn texts_seen(document: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut texts = Vec::new();
    for line in document.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            section = name.to_owned();
        }
        if let Some(text) = line.strip_prefix("### `") {
            texts.push((section.clone(), text.strip_suffix('`').unwrap().to_owned()));
        }
    }
    texts
}

/// Every line of the sources, with strings that go on over lines in one.
fn sources() -> String {
    let mut folders = vec![root().join("src")];
    let mut sources = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(path).unwrap();
                let lines = text.split("\\\n").map(str::trim_start);
                sources.push_str(&lines.collect::<String>());
            }
        }
    }
    sources.replace("\\\"", "\"")
}

#[test]
fn what_troubleshooting_is_keyed_by_is_what_the_gateway_says() {
    let (document, sources) =
        (fs::read_to_string(root().join("docs/TROUBLESHOOTING.md")).unwrap(), sources());
    let texts = texts_seen(&document);
    assert!(texts.len() > 40);
    for (section, text) in texts {
        // MLflow's client puts its error code before our message; tests/e2e/test_troubleshooting.py sees it do so.
        let is_code = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let ours =
            text.split_once(": ").filter(|(word, _)| is_code(word)).map_or(&*text, |(_, message)| message);
        if section == "What others say" || ours.ends_with("error responses") {
            continue;
        }
        // A problem begins with its setting and the variables.
        let ours = ours.split_once("): ").map_or(ours, |(_, what)| what);
        for part in ours.split('…').filter(|part| part.len() > 2) {
            // What stands for a status is put in.
            let part = part.trim_end_matches(|c: char| c.is_ascii_digit());
            assert!(sources.contains(part), "nothing says `{part}` of `{text}`");
        }
    }
}

#[test]
fn the_good_messages_of_logging_are_the_gateways_own() {
    let (document, sources) = (fs::read_to_string(root().join("docs/LOGGING.md")).unwrap(), sources());
    let rows = document.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 2);
    // The second cell begins with the message.
    let messages: Vec<_> = rows.filter_map(|row| row.split(" | `").nth(1)?.split('`').next()).collect();
    assert!(messages.len() > 5, "{messages:?}");
    for message in messages {
        assert!(sources.contains(&format!("\"{message}\"")), "nothing logs `{message}`");
    }
}

#[test]
fn contributing_names_only_paths_and_tests_that_exist() {
    let document = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let tests = fs::read_to_string(file!()).unwrap()
        + &fs::read_to_string(root().join("tests/api/codes.rs")).unwrap()
        + &sources();
    let quoted = document.split('`').skip(1).step_by(2).filter(|text| !text.contains([' ', ':']));
    let missing: Vec<_> = quoted
        .filter(|text| {
            let is_path = text.contains('/') && !text.starts_with('/');
            let is_test = text.matches('_').count() > 2;
            (is_path && !root().join(text).exists()) || (is_test && !tests.contains(&format!("fn {text}(")))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_reason_is_in_troubleshooting() {
    let document = fs::read_to_string(root().join("docs/TROUBLESHOOTING.md")).unwrap();
    for reason in Reason::ALL.map(Reason::word) {
        assert!(document.contains(&format!("`{reason}`")), "{reason}");
    }
}

/// Every command below this one, and itself.
fn family(command: &clap::Command) -> Vec<&clap::Command> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    [command].into_iter().chain(below.flat_map(family)).collect()
}

#[test]
fn the_help_of_every_command_has_an_example_that_works() {
    let cli = Cli::command();
    for command in family(&cli) {
        let name = command.get_name();
        let help = command.get_after_help().unwrap_or_else(|| panic!("`{name}` has no example")).to_string();
        let mut examples = 0;
        for line in help.lines().filter(|line| line.contains("hokusai-gateway ")) {
            let from = line.find("hokusai-gateway ").unwrap();
            let words = line[from..].split_whitespace().take_while(|word| !["|", ">"].contains(word));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
            let path = name == "hokusai-gateway" || line[from..].split_whitespace().any(|word| word == name);
            assert!(path, "`{name}` has an example of another command: {line}");
            examples += 1;
        }
        // What a container file says is no command line.
        assert!(
            examples > 0 || help.contains("\"hokusai-gateway\", \"healthcheck\""),
            "`{name}` has no example"
        );
    }
    assert!(family(&cli).len() > 12);
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
fn the_key_file_and_the_settings_shown_can_be_read() {
    let (keys, settings): (Vec<_>, Vec<_>) =
        blocks("toml").into_iter().partition(|block| block.contains("[[keys]]"));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, keys.concat()).unwrap();
    KeyFile::open(file.path()).unwrap();
    assert!(!settings.is_empty());
    for block in settings {
        fs::write(&file, format!("[mlflow]\nurl = 'http://mlflow'\n{block}")).unwrap();
        hokusai_gateway::settings::Settings::load(Some(file.path()), []).unwrap();
    }
}
