//! `doctor --bundle`: what is handed to a maintainer, and no secret in it, whoever brings it up and in whatever form.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Server, process::command, server::Answer};

const KEY: &str = "hk_test_0AB1cd2EF3gh4IJ5kl6MN7op8QR9st0UVw";

async fn doctor(folder: &Path, url: &str, settings: Option<&str>) -> (Output, String) {
    let bundle = folder.join("bundle.json");
    let mut command = command(folder);
    command.args(["doctor", "--url", url, "--bundle"]).arg(&bundle).env("HOKUSAI_API_KEY", KEY);
    if let Some(settings) = settings {
        fs::write(folder.join("gateway.toml"), settings).unwrap();
        command.args(["--config", "gateway.toml"]);
    }
    let output = actix_web::web::block(move || command.output().unwrap()).await.unwrap();
    (output, fs::read_to_string(bundle).unwrap_or_default())
}

/// No eight characters in a row of the secret, nor of what encoders make of it.
fn assert_without(text: &str, secret: &str) {
    let mut forms = vec![
        secret.to_owned(),
        hex::encode(secret),
        secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string(),
    ];
    for before in ["", "u", "us"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{before}{secret}"));
        // Its ends share a digit with what is beside it.
        forms.push(encoded[before.len() * 2..encoded.len() - 1].to_owned());
    }
    for form in forms {
        for part in form.as_bytes().windows(8) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(!text.contains(part), "`{part}` of `{secret}` is in it:\n{text}");
        }
    }
}

#[actix_web::test]
async fn what_a_server_sends_back_of_the_key_is_in_the_bundle_in_no_form() {
    let server = Server::start(|request| {
        let said = request.header("authorization").map_or(KEY, |value| value.rsplit(' ').next().unwrap());
        let forms = [
            said.to_owned(),
            said.to_lowercase(),
            said[12..].to_owned(),
            STANDARD_NO_PAD.encode(format!("x{said}")),
            hex::encode(said),
            said.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            said.bytes().map(|byte| format!("\\u{byte:04x}")).collect(),
        ];
        let form = &forms[request.target().len() % forms.len()];
        let fields =
            format!("server: {form}\r\nx-{said}: 1\r\nset-cookie: a={form}\r\nlocation: /{form}\r\n");
        let body = format!("{{\"error_code\": \"{form}\", \"message\": \"{form}\", \"{form}\": 1}}");
        Answer::bytes(&format!("HTTP/1.1 200 X\r\n{fields}content-length: {}\r\n\r\n{body}", body.len()))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (output, bundle) = doctor(folder.path(), &server.url(), None).await;
    assert_eq!(output.status.code(), Some(1));
    assert_without(&bundle, KEY);
    let told: Value = serde_json::from_str(&bundle).unwrap();
    assert!(told["open_routes"].as_array().unwrap().len() > 6 && bundle.contains("(a secret)"));
    let mode = fs::metadata(folder.path().join("bundle.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Every setting that the sources read as a secret.
fn secret_settings() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/settings");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap());
    let texts: Vec<String> = texts.collect();
    let keys = texts.iter().flat_map(|text| text.split("reader.secret(\"").skip(1));
    keys.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn no_secret_of_the_settings_is_in_the_bundle_be_they_right_or_wrong() {
    // Words that nothing else says.
    let canary = |name: &str| format!("{}+/=~", STANDARD_NO_PAD.encode(Sha256::digest(name)));
    // As it stands in a URL.
    let written = |name: &str| canary(name).replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    let value = |name: &str| match name {
        "redis.url" => format!("redis://user:{}@127.0.0.1:1", written(name)),
        _ => canary(name),
    };
    let secrets = secret_settings();
    assert!(secrets.len() >= 4, "{secrets:?}");
    let line = |name: &String| format!("{name} = \"{}\"\n", value(name));
    let (of_issuers, others): (Vec<_>, Vec<_>) = secrets.iter().partition(|name| !name.contains('.'));
    let issuer =
        "[[auth.issuers]]\nissuer = \"https://issuer.example\"\naudience = \"a\"\nclient_id = \"b\"\n";
    let rule = "[[auth.issuers.rules]]\nwhen = { sub = \"*\" }\nscopes = [\"mlflow:read\"]\n";
    let [others, of_issuers] =
        [others, of_issuers].map(|names| names.into_iter().map(line).collect::<String>());
    let all = format!("{others}{issuer}{of_issuers}{rule}");
    let without = |left_out: &str| {
        let lines = all.lines().filter(|line| !line.starts_with(left_out));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let url = "mlflow.url = \"http://127.0.0.1:1\"\n";
    let basic = "mlflow.auth = \"basic\"\nmlflow.username = \"gateway\"\n";
    let misplaced = format!(
        "{url}mlflow.rest = \"{0}\"\nredis.url = \"{0}\"\nserver.x = \"{0}\"\n\"{0}\" = 1\n",
        canary("misplaced")
    );
    for (settings, in_force) in [
        (format!("{url}{basic}{}", without("mlflow.token")), true),
        (format!("{url}mlflow.auth = \"bearer\"\n{}", without("mlflow.password")), true),
        (format!("{url}{all}"), false),
        (misplaced, false),
        (format!("{url}what is {}", canary("misplaced")), false),
    ] {
        let server = Server::start(|_| Answer::json(404, "not here")).await;
        let folder = tempfile::tempdir().unwrap();
        let (_, bundle) = doctor(folder.path(), &server.url(), Some(&settings)).await;
        let told: Value = serde_json::from_str(&bundle).unwrap();
        let lines = told["settings"]["in_force"].as_array().map_or(0, Vec::len);
        let problems = told["settings"]["problems"].as_array().unwrap();
        assert_eq!((lines > 50, problems.is_empty()), (in_force, in_force), "{settings}: {bundle}");
        assert_without(&bundle, KEY);
        for name in secrets.iter().map(String::as_str).chain(["misplaced"]) {
            assert_without(&bundle, &canary(name));
        }
    }
}

#[actix_web::test]
async fn a_file_that_is_there_is_left_alone_and_nothing_is_asked() {
    let server = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bundle.json"), "somebody's").unwrap();
    let (output, bundle) = doctor(folder.path(), &server.url(), None).await;
    assert_eq!((output.status.code(), bundle.as_str()), (Some(64), "somebody's"));
    assert!(String::from_utf8(output.stderr).unwrap().contains("bundle.json"));
    assert!(server.requests().is_empty());
}
