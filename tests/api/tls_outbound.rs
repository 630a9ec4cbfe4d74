//! TLS towards the auth service, Redis and MLflow: each is spoken to as its own address says.

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{
    GatewayBuilder, Response, Server, ask,
    certificates::Certificate,
    client::Connection,
    eventually,
    process::Process,
    redis::{Redis, free_port},
    server::Answer,
    tls,
};

const VALID: &str = r#"{"is_valid": true, "user_id": "ada"}"#;

/// An auth service that accepts every key and speaks TLS, and an MLflow that does not.
struct Stage {
    auth: Server,
    auth_url: String,
    mlflow: Server,
    certificate: Certificate,
    folder: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::self_signed(&folder.path().join("certificate"));
        let auth = Server::start(|_| Answer::ok(VALID)).await;
        let address = tls::terminate(tls::acceptor(&certificate, None), auth.address).await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        Self { auth, auth_url: format!("https://{address}"), mlflow, certificate, folder }
    }

    /// A gateway as a process: the authorities of the machine are an environment variable.
    fn serve(&self, settings: &[(&str, &str)]) -> Process {
        let mlflow = self.mlflow.url();
        let own = [("MLFLOW_SERVER_URL", &*mlflow), ("HOKUSAI__AUTH__SERVICE__URL", &*self.auth_url)];
        Process::serve(self.folder.path(), &[&own, settings].concat())
    }

    fn trusted(&self) -> (&str, &str) {
        ("SSL_CERT_FILE", self.certificate.path())
    }

    /// A redis-server with a TLS port, and that port.
    fn redis(&self) -> (Redis, u16) {
        let port = free_port();
        let (path, key) = (self.certificate.path(), self.certificate.key());
        let mut options = vec!["--tls-port".to_owned(), port.to_string()];
        let files = [("--tls-cert-file", path), ("--tls-key-file", key), ("--tls-ca-cert-file", path)];
        options.extend(files.into_iter().flat_map(|(option, file)| [option.to_owned(), file.to_owned()]));
        options.extend(["--tls-auth-clients".to_owned(), "no".to_owned()]);
        (Redis::start(&options.iter().map(String::as_str).collect::<Vec<_>>()), port)
    }
}

async fn search(gateway: &Process) -> Response {
    let target = "/api/mlflow/api/2.0/mlflow/experiments/search?max_results=1";
    ask(
        gateway.address,
        format!("GET {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a-key-of-theirs\r\n\r\n"),
    )
    .await
}

#[actix_web::test]
async fn a_trusted_auth_service_is_asked_over_tls_and_mlflow_without() {
    let stage = Stage::set().await;
    let gateway = stage.serve(&[stage.trusted()]);
    assert_eq!(search(&gateway).await.status, 200);
    assert_eq!((stage.auth.validations().len(), stage.mlflow.requests().len()), (1, 1));
}

#[actix_web::test]
async fn an_auth_service_with_an_untrusted_certificate_is_unavailable() {
    let stage = Stage::set().await;
    let response = search(&stage.serve(&[])).await;
    assert_eq!((response.status, response.reason().as_str()), (503, "auth_unavailable"));
    assert!(stage.auth.requests().is_empty() && stage.mlflow.requests().is_empty());
}

#[actix_web::test]
async fn verdicts_and_revocations_are_shared_through_a_redis_behind_tls() {
    let stage = Stage::set().await;
    let (redis, port) = stage.redis();
    let url = format!("rediss://127.0.0.1:{port}");
    let pepper = ("HOKUSAI__AUTH__PEPPER", "a pepper of the fleet's");
    let gateway = stage.serve(&[stage.trusted(), ("REDIS_URL", &url), pepper]);
    eventually("the verdict is shared", async || {
        assert_eq!(search(&gateway).await.status, 200);
        redis.cli(&["--scan"]).contains("hokusai:verdict:")
    })
    .await;
    let listeners = || redis.cli(&["pubsub", "numsub", "hokusai:revoked"]);
    eventually("the gateway listens for revocations", async || listeners().trim_end().ends_with('1')).await;
}

#[actix_web::test]
async fn a_redis_with_an_untrusted_certificate_is_not_used_and_not_needed() {
    let stage = Stage::set().await;
    let (redis, port) = stage.redis();
    // The certificate is for the address, not for this name of it.
    let url = format!("rediss://localhost:{port}");
    let gateway = stage.serve(&[stage.trusted(), ("REDIS_URL", &url)]);
    for _ in 0..3 {
        assert_eq!(search(&gateway).await.status, 200);
    }
    assert!(!redis.cli(&["--scan"]).contains("hokusai:verdict:"));
}

#[actix_web::test]
async fn mlflow_is_known_by_an_authority_of_its_own_and_shown_the_gateways_certificate() {
    let stage = Stage::set().await;
    let ours = Certificate::self_signed(&stage.folder.path().join("ours"));
    let acceptor = tls::acceptor(&stage.certificate, Some(&ours.path));
    let url = format!("https://{}", tls::terminate(acceptor, stage.mlflow.address).await);
    let trusting = || GatewayBuilder::default().set("MLFLOW__TLS__CA", stage.certificate.path());
    let gateway = trusting()
        .set("MLFLOW__TLS__CERT", ours.path())
        .set("MLFLOW__TLS__KEY", ours.key())
        .start_with(&url)
        .await;
    assert_eq!(gateway.get("/api/2.0/mlflow/runs/get").await.status, 200);
    assert_eq!(stage.mlflow.request().header("x-forwarded-proto"), Some("http"));
    // Without its certificate it is let in no further.
    let unknown = trusting().start_with(&url).await;
    assert_eq!(unknown.get("/api/2.0/mlflow/runs/get").await.status, 502);
}

#[actix_web::test]
async fn an_answer_in_the_middle_of_an_upload_comes_through_tls() {
    let stage = Stage::set().await;
    let acceptor = tls::acceptor(&stage.certificate, None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    actix_rt::spawn(async move {
        let mut unread = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                assert!(stream.read_buf(&mut head).await.unwrap() > 0);
            }
            // The gateway's own looks and calls are answered well.
            let (status, body) =
                if head.starts_with(b"GET") { ("200 OK", "{}") } else { ("413 X", "too much") };
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            // It reads no more, and does not close either.
            unread.push(stream);
        }
    });
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__TLS__CA", stage.certificate.path())
        .set("MLFLOW__IDLE_TIMEOUT", "5s")
        .start_with(&url)
        .await;
    let length = 32_000_000;
    let head = format!("content-length: {length}\r\n");
    let mut connection = Connection::open(gateway.address).await;
    connection.send(gateway.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a", &head)).await;
    connection.try_send(&vec![b'x'; length]).await;
    let answer = connection.response(false).await;
    assert_eq!((answer.status, answer.text()), (413, "too much"));
}
