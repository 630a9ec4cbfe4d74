//! The house keeps its shape: a step knows its own settings and the types of earlier steps, and nothing later.

use std::{fs, path::Path};

/// The walk of a request, in order.
const STEPS: [&str; 8] = ["head", "routing", "credentials", "session", "auth", "policy", "limits", "proxy"];
/// What `ownership`, which stands beside the policy, may know of them.
const BEFORE_OWNERSHIP: [&str; 4] = ["routing", "auth", "policy", "ownership"];
/// What any step may know.
const GROUND: [&str; 25] = [
    "code",
    "audit",
    "client_ip",
    "exchange",
    "settings",
    "telemetry",
    "http1",
    "http_client",
    "breaker",
    "outage_log",
    "token_bucket",
    "under_way",
    "redaction",
    "redis",
    "connection",
    "fault",
    "flight",
    "stall_budget",
    "upstream",
    "tls",
    "file_state",
    "parse_fault",
    "trusted_file",
    "usage",
    "vocabulary",
];
/// What even settings may know.
const BELOW_SETTINGS: [&str; 3] = ["code", "parse_fault", "trusted_file"];

#[test]
fn a_step_imports_only_earlier_steps() {
    for (position, step) in STEPS.iter().enumerate() {
        for (file, import) in imports(step) {
            let earlier = STEPS[..=position].contains(&import.as_str());
            assert!(earlier || GROUND.contains(&import.as_str()), "{file} imports crate::{import}");
        }
    }
}

/// MLflow is asked by the proxy, which the gateway hands over: owners are judged without it.
#[test]
fn ownership_imports_nothing_behind_the_policy() {
    let found = imports("ownership");
    assert!(!found.is_empty());
    for (file, import) in found {
        let may = BEFORE_OWNERSHIP.contains(&import.as_str()) || GROUND.contains(&import.as_str());
        assert!(may, "{file} imports crate::{import}");
    }
}

#[test]
fn the_ground_imports_no_step() {
    for room in GROUND {
        for (file, import) in imports(room) {
            assert!(GROUND.contains(&import.as_str()), "{file} imports crate::{import}");
        }
    }
    for (file, import) in imports("settings") {
        let may = import == "settings" || BELOW_SETTINGS.contains(&import.as_str());
        assert!(may, "{file} imports crate::{import}: settings know nothing of ours");
    }
    for room in BELOW_SETTINGS {
        // The codes of messages know nothing at all.
        let imports = imports(room).into_iter().filter(|(_, import)| room == "code" || import != "code");
        assert_eq!(imports.collect::<Vec<_>>(), [], "{room} knows nothing of ours");
    }
}

#[test]
fn only_the_command_line_imports_the_doctor() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path());
    for room in rooms.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())) {
        for (file, import) in imports(&room) {
            let may = ["cli", "doctor"].contains(&room.as_str());
            assert!(may || !["cli", "doctor"].contains(&import.as_str()), "{file} imports crate::{import}");
            assert!(room != "doctor" || import != "cli", "{file} imports crate::cli");
        }
    }
}

#[test]
fn telemetry_and_audit_do_not_know_each_other() {
    for (room, other) in [("telemetry", "audit"), ("audit", "telemetry")] {
        for (file, import) in imports(room) {
            assert!(import != other && import != "exchange", "{file} imports crate::{import}");
        }
    }
}

#[test]
fn the_vocabulary_knows_nothing() {
    assert_eq!(imports("vocabulary"), []);
}

/// Tests in a file that no module names would never run, and nobody would miss them.
#[test]
fn every_file_is_a_module_of_the_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("src"), root.join("tests/api")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|kind| kind != "rs") || ["lib", "main", "mod"].contains(&name) {
            continue;
        }
        let folder = path.parent().unwrap();
        let above = ["mod.rs", "lib.rs", "main.rs"].map(|file| folder.join(file));
        let above = above.into_iter().chain([folder.with_extension("rs")]).filter(|file| file.is_file());
        let names_it = |file: &Path| fs::read_to_string(file).unwrap().contains(&format!("mod {name};"));
        assert!(above.into_iter().any(|file| names_it(&file)), "{} is no module", path.display());
    }
}

/// Every `crate::room` that a room's files name, tests apart.
fn imports(room: &str) -> Vec<(String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join(format!("{room}.rs")), source.join(room)];
    let mut found = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for (at, _) in code.match_indices("crate::") {
                // Constants of the crate itself are no room.
                let rooms = names(&code[at + "crate::".len()..])
                    .into_iter()
                    .filter(|name| *name != name.to_uppercase());
                found.extend(rooms.map(|name| (path.display().to_string(), name)));
            }
        }
    }
    assert!(room != "auth" || !found.is_empty(), "no imports were found at all");
    found
}

/// The rooms behind `crate::`: one, or those of a braced list.
fn names(rest: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(list) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(name(list[start..at].trim()));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}
