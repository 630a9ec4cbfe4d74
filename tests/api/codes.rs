//! Codes of messages: the table, docs/TROUBLESHOOTING.md and the sources have the same ones, and each is named by what really has
//! its cause: a fault of the document is a function of its name below, or one in tests/e2e/faults where it takes a real MLflow.

mod audit;
mod auth_service;
mod edge;
mod files;
mod keys;
mod logs;
mod mlflow;
mod place;
mod process;
mod redis;
mod settings;
mod telling;
mod tls;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use hokusai_gateway::code::{Code, EXPLAINED_IN};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("docs/TROUBLESHOOTING.md")).unwrap()
}

/// Each source but the table itself, by its path.
fn sources() -> Vec<(String, String)> {
    let (mut folders, mut sources) = (vec![root().join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("src/code.rs") && path.extension().is_some_and(|kind| kind == "rs") {
                sources.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    sources
}

/// What the document says of a code: from its anchor to the next one, or to the next section.
fn entry(document: &str, code: Code) -> Option<String> {
    let anchor = format!("<a id=\"{}\"></a>\n", code.text().to_lowercase());
    let (_, rest) = document.split_once(&anchor)?;
    let end = ["<a id=\"", "\n## "].iter().filter_map(|next| rest.find(next)).min().unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

#[test]
fn codes_are_letters_and_numbers_and_each_stands_behind_the_one_before() {
    let mut before = ("", 0);
    let mut letters = BTreeSet::new();
    for code in Code::ALL {
        let (letter, number) = code.text().strip_prefix("HG-").unwrap().split_at(1);
        assert!("SFMARKTEPUL".contains(letter) && number.len() == 2, "{code}");
        let number: u32 = number.parse().unwrap();
        assert!(if letter == before.0 { number > before.1 } else { letters.insert(letter) }, "{code}");
        before = (letter, number);
        assert_eq!((Code::from_text(code.text()), code.to_string().as_str()), (Some(*code), code.text()));
    }
    assert_eq!(Code::from_text("HG-M99"), None);
    let titles: BTreeSet<&str> = Code::ALL.iter().map(|code| code.title()).collect();
    assert_eq!(titles.len(), Code::ALL.len());
}

#[test]
fn the_table_and_the_anchors_of_the_document_are_the_same() {
    let document = document();
    let anchors: Vec<&str> = document
        .split("<a id=\"hg-")
        .skip(1)
        .map(|rest| rest.split_once("\"></a>\n").expect("an anchor stands alone on its line").0)
        .collect();
    let codes: Vec<String> =
        Code::ALL.iter().map(|code| code.text().strip_prefix("HG-").unwrap().to_lowercase()).collect();
    assert_eq!(anchors, codes, "not the same, or in another order");
    for code in Code::ALL {
        let entry = entry(&document, *code).unwrap();
        let heading = format!("### {code} {}\n", code.title());
        let rest = entry.strip_prefix(&heading).unwrap_or_else(|| panic!("not `{heading}` but `{entry}`"));
        let words = rest.lines().filter(|line| !line.starts_with("<!--")).collect::<String>();
        assert!(words.len() > 40, "{code} is not explained: {words}");
    }
    let anchor = EXPLAINED_IN.split_once('#').unwrap().1;
    assert!(document.contains(&format!("\n## {}\n", anchor[..1].to_uppercase() + &anchor[1..])));
}

#[test]
fn every_code_is_said_by_something_and_every_code_in_the_documents_is_one() {
    let sources = sources();
    for code in Code::ALL {
        let used = format!("Code::{code:?}");
        let is_used = |text: &str| {
            text.match_indices(&used).any(|(at, _)| {
                !text[at + used.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
            })
        };
        let code_alone = |text: &str| text.split("#[cfg(test)]").next().unwrap().to_owned();
        assert!(sources.iter().any(|(_, text)| is_used(&code_alone(text))), "nothing says {code}");
    }
    let documents = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for path in documents.filter(|path| path.is_file()).chain([root().join("README.md")]) {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("HG-").skip(1) {
            // `HG-S…` are all of a letter.
            let code: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            let is_letter = code.len() == 1 && rest[1..].starts_with('…');
            let code = format!("HG-{code}");
            assert!(is_letter || Code::from_text(&code).is_some(), "{}: {code}", path.display());
        }
    }
}

#[test]
fn every_warning_and_error_of_the_log_has_a_code() {
    let mut lines = 0;
    for (path, text) in sources() {
        let text = text.split("#[cfg(test)]").next().unwrap();
        for (at, _) in text.match_indices("warn!(").chain(text.match_indices("error!(")) {
            if text[..at].ends_with("compile_") {
                continue;
            }
            let call = &text[at..];
            let call = &call[..call.find(");").or(call.find("),")).unwrap_or(call.len())];
            assert!(call.contains("code = "), "{path}: {call}");
            lines += 1;
        }
    }
    assert!(lines > 20, "only {lines} were found");
}

/// The functions that set a fault up, with what they do where that names the code; in Python the document is what names it.
fn walked() -> BTreeMap<String, Option<String>> {
    let mut walked = BTreeMap::new();
    let mut walk = |folder: &str, kind: &str, begin: &str| {
        let files = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let is_of_a_letter = |path: &PathBuf| {
            path.extension().is_some_and(|extension| extension == kind) && !path.ends_with("telling.rs")
        };
        for text in files.filter(is_of_a_letter).map(|path| fs::read_to_string(path).unwrap()) {
            for function in text.split(begin).skip(1) {
                let (name, body) = function.split_once('(').unwrap();
                let body = (kind == "rs").then(|| body.to_owned());
                assert!(walked.insert(name.to_owned(), body).is_none(), "{name} is there twice");
            }
        }
    };
    walk("tests/api/codes", "rs", "#[actix_web::test]\nasync fn ");
    walk("tests/e2e/faults", "py", "\ndef ");
    walked.retain(|name, _| !name.starts_with('_'));
    walked
}

#[test]
fn every_code_has_a_fault_that_is_set_up_or_a_reason_why_not() {
    let (document, mut walked) = (document(), walked());
    let mut without = Vec::new();
    for code in Code::ALL {
        let entry = entry(&document, *code).unwrap();
        let faults: Vec<&str> = entry
            .split("<!-- fault: ")
            .skip(1)
            .map(|rest| rest.split_once(" -->").expect("a comment on one line").0)
            .collect();
        assert!(!faults.is_empty(), "{code} has no fault");
        for fault in &faults {
            if let Some(reason) = fault.strip_prefix("none, ") {
                assert!(reason.len() > 10 && faults.len() == 1, "{code}: {reason}");
                without.push(code.text());
                continue;
            }
            let body = walked.remove(*fault).unwrap_or_else(|| panic!("{code}: nothing sets {fault} up"));
            let is_named = body.is_none_or(|body| body.contains(&format!("\"{code}\"")));
            assert!(is_named, "{fault} is beside {code}, and its function names another");
        }
    }
    assert!(without.len() * 10 <= Code::ALL.len(), "too many cannot be set up: {without:?}");
    let names: Vec<&String> = walked.keys().collect();
    assert!(names.is_empty(), "the document names none of {names:?}");
}
