//! The binary as an operator runs it.

mod checking;
mod commands;
mod stopping;

use std::{fs, io::Read as _, process::Output};

use tempfile::TempDir;

use crate::support::{
    Server, ask, eventually,
    process::{Process, command},
    server::Answer,
};

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    command(folder.path()).args(arguments).output().unwrap()
}

fn create_key(folder: &TempDir) -> String {
    let output = run(folder, &["keys", "create", "--user", "ada", "--test"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn serve(folder: &TempDir, mlflow: &str) -> Process {
    Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", mlflow)])
}

/// The lines of a process so far whose message begins like this.
fn lines(folder: &TempDir, message: &str) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    // The last one may be half written.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message))).collect()
}

#[actix_web::test]
async fn sighup_takes_over_what_can_change_and_nothing_of_a_bad_file() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let config = folder.path().join("gateway.toml");
    let write = |limits: &str| {
        fs::write(&config, format!("[mlflow]\nurl = '{}'\n[limits]\n{limits}\n", mlflow.url())).unwrap();
    };
    write("per_hour = 100");
    let gateway = Process::serve_with(folder.path(), &["--config", "gateway.toml"], &[]);
    let get =
        format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    let limit = || async {
        let response = ask(gateway.address, &get).await;
        (response.status, response.header("ratelimit-limit").map(str::to_owned))
    };
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let is = |number: &str| (200, Some(number.to_owned()));
    assert_eq!(limit().await, is("100"));

    write("per_hour = 200\nnonsense = 1");
    gateway.hang_up();
    eventually("it says why not", async || log().contains("limits.…")).await;
    assert_eq!(limit().await, is("100"));

    write("per_hour = 300\ninstances = 2");
    gateway.hang_up();
    eventually("it is taken over", async || limit().await == is("300")).await;
    eventually("it says what is not", async || log().contains(r#""sections":"limits""#)).await;
}

#[actix_web::test]
async fn a_line_that_says_that_all_is_well_has_a_code_only_where_it_ends_a_fault() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder);
    let (config, keys) = (folder.path().join("gateway.toml"), folder.path().join("keys.toml"));
    let (settings, good) =
        (format!("[mlflow]\nurl = '{}'\n", mlflow.url()), fs::read_to_string(&keys).unwrap());
    fs::write(&config, &settings).unwrap();
    let gateway = Process::serve_with(folder.path(), &["--config", "gateway.toml"], &[]);
    let codes = |message: &str| {
        let said = lines(&folder, message).into_iter();
        said.map(|line| line["code"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    for (message, code, file, well) in
        [("key file reload", "HG-K06", &keys, &good), ("settings reload", "HG-P07", &config, &settings)]
    {
        let mut expected = Vec::new();
        for (text, ended) in
            [(format!("{well}#\n"), None), ("[nonsense".to_owned(), Some(code)), (well.clone(), Some(code))]
        {
            fs::write(file, text).unwrap();
            if file == &config {
                gateway.hang_up();
            }
            expected.push(ended.map(str::to_owned));
            eventually(message, async || codes(message).len() >= expected.len()).await;
            assert_eq!(codes(message), expected, "{message}");
        }
    }
}

#[actix_web::test]
async fn each_request_leaves_one_line_that_names_the_caller_and_never_the_key() {
    let mlflow = Server::start(|_| Answer::ok("four")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let mut gateway = serve(&folder, &mlflow.url());
    let address = gateway.address;
    let good = format!("authorization: Bearer {key}\r\n");
    for headers in [good.as_str(), "authorization: Bearer not-a-good-key\r\n"] {
        let target = format!("/api/2.0/mlflow/runs/log-batch?token={key}");
        ask(address, format!("POST {target} HTTP/1.1\r\nhost: a\r\n{headers}content-length: 3\r\n\r\nabc"))
            .await;
    }
    gateway.terminate();
    gateway.wait();

    let mut log = String::new();
    while log.matches("\"message\":\"request\"").count() < 2 {
        log.clear();
        fs::File::open(folder.path().join("log")).unwrap().read_to_string(&mut log).unwrap();
    }
    assert!(!log.contains(&key) && !log.contains("not-a-good-key"), "{log}");
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["message"] == "request")
        .collect();
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["user_id"], "ada");
    assert_eq!(lines[0]["method"], "POST");
    assert_eq!(lines[0]["route"], "write");
    assert_eq!(lines[0]["path"], "/api/2.0/mlflow/runs/log-batch");
    assert_eq!(lines[0]["client_ip"], "127.0.0.1");
    assert_eq!(lines[0]["bytes_in"], 3);
    assert_eq!(lines[0]["bytes_out"], 4);
    assert!(lines[0]["latency_ms"].as_f64().unwrap() >= lines[0]["upstream_ms"].as_f64().unwrap());
    assert_eq!(lines[1]["status"], 401);
    assert_eq!(lines[1]["reason"], "credential_rejected");
    assert_eq!(lines[1]["user_id"], serde_json::Value::Null);
}
