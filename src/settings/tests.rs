use std::{
    fs,
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    path::Path,
    time::Duration,
};

use secrecy::ExposeSecret;
use url::Url;

use super::{AuthMode, HostHeader, LogFormat, Settings, UpstreamAuth, sources};

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(pairs: &[(&str, &str)]) -> Settings {
    Settings::load(None, environment(pairs)).unwrap()
}

fn problems(pairs: &[(&str, &str)]) -> String {
    Settings::load(None, environment(pairs)).unwrap_err().to_string()
}

const MLFLOW: (&str, &str) = ("HOKUSAI__MLFLOW__URL", "http://127.0.0.1:5000");

#[test]
fn the_defaults_need_only_mlflows_address() {
    let settings = load(&[MLFLOW]);
    assert_eq!(settings.server.bind.to_string(), "127.0.0.1:8001");
    assert_eq!(settings.server.drain_grace, Duration::from_secs(30));
    assert_eq!(settings.mlflow.host_header, HostHeader::Upstream);
    assert_eq!(settings.telemetry.log, LogFormat::Auto);
    assert!(matches!(settings.auth.mode, AuthMode::KeyFile(file) if file.path.ends_with("keys.toml")));
}

#[test]
fn every_default_has_a_comment_above_it() {
    let lines: Vec<&str> = sources::DEFAULTS.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with("# ")) {
        assert!(pair[0].starts_with("# "), "no comment above `{}`", pair[1]);
    }
}

#[test]
fn mlflows_address_is_required() {
    let text = problems(&[]);
    assert!(text.contains("mlflow.url (HOKUSAI__MLFLOW__URL or MLFLOW_SERVER_URL): is required"), "{text}");
}

#[test]
fn a_file_overrides_the_defaults_and_the_environment_overrides_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "[mlflow]\nurl = 'http://in-file:1'\nhost_header = 'client'\n").unwrap();
    let settings = Settings::load(
        Some(file.path()),
        environment(&[("HOKUSAI__MLFLOW__URL", "http://in-environment:2")]),
    )
    .unwrap();
    assert_eq!(settings.mlflow.urls, [Url::parse("http://in-environment:2").unwrap()]);
    assert_eq!(settings.mlflow.host_header, HostHeader::Client);
}

#[test]
fn a_file_is_read_once_so_that_a_pipe_works_and_what_was_checked_is_what_is_used() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"[mlflow]\nurl = 'http://in-pipe:1'\n").unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    let settings = Settings::load(Some(Path::new(&path)), []).unwrap();
    assert_eq!(settings.mlflow.urls[0].as_str(), "http://in-pipe:1/");
    let again = Settings::load(Some(Path::new(&path)), environment(&[MLFLOW])).unwrap_err().to_string();
    assert!(again.contains("can be read once only"), "{again}");
}

#[test]
fn elder_variables_work_and_yield_to_the_new_ones() {
    let settings = load(&[
        ("MLFLOW_SERVER_URL", "http://elder:1"),
        MLFLOW,
        ("HOKUSAI_AUTH_SERVICE_URL", "http://auth:8000"),
        ("AUTH_SERVICE_ID", "elder-id"),
    ]);
    assert_eq!(settings.mlflow.urls[0].as_str(), "http://127.0.0.1:5000/");
    let AuthMode::Service(service) = settings.auth.mode else {
        panic!("the auth service is chosen by its URL")
    };
    assert_eq!(service.service_id, "elder-id");
}

#[test]
fn what_needs_a_restart_is_told_and_a_secret_is_seen_to_change() {
    let with = |more: &[(&str, &str)]| load(&[&[MLFLOW], more].concat());
    let token = |token| [("HOKUSAI__MLFLOW__AUTH", "bearer"), ("HOKUSAI__MLFLOW__TOKEN", token)];
    let before = with(&token("one"));
    let differs = |more: &[(&str, &str)]| before.differs_beyond_live(&with(more));
    assert!(differs(&token("one")).is_empty());
    assert_eq!(differs(&token("two")), ["mlflow"]);
    let changes = [
        ("HOKUSAI__LIMITS__PER_HOUR", "5"),
        ("HOKUSAI__LIMITS__CONCURRENT", "5"),
        ("HOKUSAI__LIMITS__CREATES_PER_HOUR", "5"),
        ("HOKUSAI__METRICS__ALLOW", "::1"),
        ("HOKUSAI__SERVER__TRUSTED_PROXIES", "::1"),
        ("HOKUSAI__SERVER__FORWARDED_HEADER", "forwarded"),
    ];
    assert!(differs(&[&token("one")[..], &changes].concat()).is_empty());
    let changes = [("HOKUSAI__LIMITS__PER_HOUR", "5"), ("HOKUSAI__SERVER__WORKERS", "3")];
    assert_eq!(differs(&[&token("one")[..], &changes].concat()), ["server"]);
}

#[test]
fn an_empty_variable_is_not_set() {
    let settings = load(&[("HOKUSAI__MLFLOW__URL", ""), ("MLFLOW_SERVER_URL", "http://elder:1")]);
    assert_eq!(settings.mlflow.urls[0].as_str(), "http://elder:1/");
}

#[test]
fn an_explicit_mode_wins_over_the_services_url() {
    let settings =
        load(&[MLFLOW, ("HOKUSAI__AUTH__MODE", "key_file"), ("HOKUSAI__AUTH__SERVICE__URL", "http://auth")]);
    assert!(matches!(settings.auth.mode, AuthMode::KeyFile(_)));
}

#[test]
fn all_problems_are_told_at_once_with_key_variable_value_and_fix() {
    let text = problems(&[
        ("HOKUSAI__MLFLOW__URL", "127.0.0.1:5000"),
        ("HOKUSAI__SERVER__BIND", "8001"),
        ("HOKUSAI__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, load-balancer"),
        ("HOKUSAI__AUTH__SERVICE__TIMEOUT", "2"),
        ("HOKUSAI__AUTH__SERVICE__SERVICEID", "platform"),
    ]);
    for expected in [
        "mlflow.url (HOKUSAI__MLFLOW__URL or MLFLOW_SERVER_URL): is not a URL",
        "found: a text of 14 characters, in the environment",
        "write: an address with its scheme, such as http://127.0.0.1:5000",
        "server.bind (HOKUSAI__SERVER__BIND): is a port without an IP address",
        "server.trusted_proxies (HOKUSAI__SERVER__TRUSTED_PROXIES): is not a network",
        "auth.service.timeout (HOKUSAI__AUTH__SERVICE__TIMEOUT): is not a duration",
        "auth.service.serviceid (HOKUSAI__AUTH__SERVICE__SERVICEID): is not a setting",
        "write: auth.service.service_id, or nothing",
        "5 problems in the settings",
    ] {
        assert!(text.contains(expected), "`{expected}` is missing in:\n{text}");
    }
}

#[test]
fn a_url_that_is_no_plain_address_is_refused() {
    for url in [
        "ftp://mlflow",
        "http://user:secret@mlflow",
        "user:secret@mlflow:5000",
        "http:/u:secret@x",
        "//u:secret@x",
        "http://x?token=secret",
        "http://mlflow/?a=b",
        "mlflow",
        "http://",
    ] {
        let text = problems(&[("HOKUSAI__MLFLOW__URL", url)]);
        assert!(text.contains("mlflow.url") && !text.contains("secret"), "{url}: {text}");
    }
}

#[test]
fn the_gateways_own_address_is_no_upstream() {
    for url in ["http://127.0.0.1:8001", "http://localhost:8001"] {
        assert!(problems(&[("HOKUSAI__MLFLOW__URL", url)]).contains("own address"), "{url}");
    }
}

#[test]
fn a_secret_can_come_from_a_file_and_is_never_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "s3cr3t\n").unwrap();
    let path = file.path().to_str().unwrap();
    let settings =
        load(&[MLFLOW, ("HOKUSAI__MLFLOW__AUTH", "bearer"), ("HOKUSAI__MLFLOW__TOKEN_FILE", path)]);
    let UpstreamAuth::Bearer(token) = &settings.mlflow.auth else { panic!("a bearer token is set") };
    assert_eq!(token.expose_secret(), "s3cr3t");
    assert!(!format!("{settings:?}").contains("s3cr3t"));

    let text = problems(&[
        MLFLOW,
        ("HOKUSAI__MLFLOW__TOKEN", "s3cr3t"),
        ("HOKUSAI__MLFLOW__TOKEN_FILE", path),
        ("HOKUSAI__MLFLOW__PASSWORD", "s3cr3t"),
    ]);
    assert!(!text.contains("s3cr3t"), "{text}");
}

#[test]
fn credentials_for_mlflow_must_fit_their_kind() {
    let text = problems(&[MLFLOW, ("HOKUSAI__MLFLOW__AUTH", "bearer")]);
    assert!(text.contains("mlflow.auth (HOKUSAI__MLFLOW__AUTH): does not fit"), "{text}");
}

#[test]
fn a_file_that_is_not_toml_is_named_with_its_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "[mlflow\n").unwrap();
    let text = Settings::load(Some(file.path()), []).unwrap_err().to_string();
    let name = file.path().file_name().unwrap().to_str().unwrap();
    assert!(text.contains("line 1") && text.contains(name), "{text}");
}

#[test]
fn a_line_that_is_not_toml_is_not_quoted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "[auth]\npepper = s3cr3t-without-quotes\n").unwrap();
    let text = Settings::load(Some(file.path()), []).unwrap_err().to_string();
    assert!(text.contains("line 2") && !text.contains("s3cr3t"), "{text}");
}

#[test]
fn a_secret_that_is_none_is_a_problem() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let path = empty.path().to_str().unwrap();
    let text = problems(&[MLFLOW, ("HOKUSAI__AUTH__PEPPER_FILE", path)]);
    assert!(text.contains("auth.pepper (HOKUSAI__AUTH__PEPPER): is empty"), "{text}");
    let text = problems(&[MLFLOW, ("HOKUSAI__AUTH__PEPPER", "short")]);
    assert!(text.contains("is shorter than 16 characters") && !text.contains("\"short\""), "{text}");

    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "[auth]\npepper = ['a secret in a list']\n").unwrap();
    let text = Settings::load(Some(file.path()), environment(&[MLFLOW])).unwrap_err().to_string();
    assert!(text.contains("is a list or a table") && !text.contains("in a list']"), "{text}");
}

#[test]
fn a_redis_url_without_its_scheme_is_told_with_the_other_problems_and_never_shown() {
    let text = problems(&[("REDIS_URL", "redis.internal:6379/s3cr3t")]);
    assert!(text.contains("redis.url (HOKUSAI__REDIS__URL or REDIS_URL): has no scheme"), "{text}");
    assert!(text.contains("mlflow.url") && !text.contains("s3cr3t"), "{text}");
}

#[test]
fn contradictions_are_told_beside_what_is_wrong_elsewhere() {
    let text =
        problems(&[("MLFLOW_SERVER_URL", "http://127.0.0.1:8001"), ("HOKUSAI__LIMITS__PER_HOUR", "0")]);
    assert!(
        text.contains("own address") && text.contains("limits.per_hour") && text.contains("2 problems"),
        "{text}"
    );
}

#[test]
fn changes_that_need_a_record_need_a_stream() {
    let closed = ("HOKUSAI__AUDIT__ON_FAILURE", "closed");
    let text = problems(&[MLFLOW, closed, ("HOKUSAI__AUDIT__OUTPUT", "off")]);
    assert!(text.contains("audit.on_failure (HOKUSAI__AUDIT__ON_FAILURE): is closed"), "{text}");
    load(&[MLFLOW, closed]);
}

#[test]
fn where_a_secret_was_found_is_told_and_the_secret_is_not() {
    let text = problems(&[MLFLOW, ("REDIS_URL", "cache:6379/s3cr3t")]);
    assert!(text.contains("found: (hidden), in the environment"), "{text}");
    assert!(text.contains("write: redis:// before it") && !text.contains("s3cr3t"), "{text}");
}
