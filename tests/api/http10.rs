//! Clients of HTTP/1.0, such as nginx with its default towards servers: what has no length for them is whole, or an error.

use std::{io, net::SocketAddr, time::Duration};

use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    Gateway, PATIENCE, Server, ask, client::Connection, eventually, gateway::create_key, process::Process,
    server::Answer,
};

const SEARCH: &str = "/api/2.0/mlflow/experiments/search";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// More than is gathered.
fn large() -> String {
    (0..40_000).map(|number| format!("{number:07} ")).collect()
}

fn chunks(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n", body.len())
}

fn in_http10(request: &str) -> String {
    request.replace("HTTP/1.1", "HTTP/1.0")
}

/// What came until the connection ended, and how it ended.
struct Ended {
    head: String,
    body: String,
    end: io::Result<()>,
}

impl Ended {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn was_reset(&self) -> bool {
        self.end.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
    }
}

async fn read_to_end(stream: &mut TcpStream) -> Ended {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    let end = loop {
        match timeout(PATIENCE, stream.read(&mut piece)).await.expect("it does not end") {
            Ok(0) => break Ok(()),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) => break Err(error),
        }
    };
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Ended { head: head.to_ascii_lowercase(), body: body.to_owned(), end }
}

async fn ask_to_end(address: SocketAddr, request: &str) -> Ended {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

#[actix_web::test]
async fn a_body_without_a_length_is_whole_and_never_in_chunks() {
    let mlflow = Server::start(|request| {
        let body = if request.target().contains("large") { large() } else { "small".to_owned() };
        Answer::bytes(&format!("{CHUNKED}{}0\r\n\r\n", chunks(&body)))
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    for keep_alive in ["", "connection: keep-alive\r\n"] {
        let small = ask(gateway.address, in_http10(&gateway.request("GET", SEARCH, keep_alive))).await;
        assert_eq!((small.status, small.text()), (200, "small"));
        assert_eq!(small.header("content-length"), Some("5"));
        assert_eq!(small.header("transfer-encoding"), None);

        let get = gateway.request("GET", "/api/2.0/mlflow/runs/get?large", keep_alive);
        let answer = ask_to_end(gateway.address, &in_http10(&get)).await;
        assert_eq!(answer.status(), "200");
        assert!(answer.end.is_ok() && answer.body == large(), "{:?}", answer.end);
        for field in ["transfer-encoding", "content-length", "keep-alive"] {
            assert!(!answer.head.contains(field), "{field} in {}", answer.head);
        }
    }
}

#[actix_web::test]
async fn a_connection_is_kept_for_a_client_that_asks_for_it() {
    let mlflow = Server::start(|request| {
        if request.target().contains("sized") {
            Answer::ok("sized")
        } else {
            Answer::bytes(&format!("{CHUNKED}{}0\r\n\r\n", chunks("gathered")))
        }
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let get = |target: &str| in_http10(&gateway.request("GET", target, "connection: keep-alive\r\n"));
    let mut connection = Connection::open(gateway.address).await;
    for (target, text) in
        [("/api/2.0/mlflow/runs/get?sized", "sized"), (SEARCH, "gathered"), (SEARCH, "gathered")]
    {
        connection.send(get(target)).await;
        let response = connection.response(false).await;
        assert_eq!((response.text(), response.header("connection")), (text, Some("keep-alive")));
    }
    connection.send(in_http10(&gateway.request("GET", SEARCH, ""))).await;
    assert_eq!(connection.response(false).await.text(), "gathered");
    assert!(connection.is_closed().await);
}

#[actix_web::test]
async fn nothing_is_served_behind_a_body_that_ends_with_its_connection() {
    let mlflow = Server::start(|_| Answer::bytes(&format!("{CHUNKED}{}0\r\n\r\n", chunks(&large())))).await;
    let gateway = Gateway::start(&mlflow).await;
    let get = in_http10(&gateway.request("GET", SEARCH, "connection: keep-alive\r\n"));
    let answer = ask_to_end(gateway.address, &format!("{get}{get}")).await;
    assert!(answer.body.starts_with(&large()) && answer.body.len() == large().len());
    assert_eq!(mlflow.requests().len(), 1);
}

#[actix_web::test]
async fn what_has_no_body_ends_with_its_head() {
    let mlflow = Server::start(|request| {
        if request.line.starts_with("HEAD ") {
            return Answer::bytes(CHUNKED);
        }
        Answer::bytes(if request.target().contains("304") {
            "HTTP/1.1 304 X\r\netag: \"x\"\r\n\r\n"
        } else {
            "HTTP/1.1 204 X\r\n\r\n"
        })
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    for (method, target, status) in [
        ("HEAD", SEARCH, 200),
        ("GET", "/api/2.0/mlflow/runs/get?304", 304),
        ("GET", "/api/2.0/mlflow/runs/get?204", 204),
        ("HEAD", SEARCH, 200),
    ] {
        connection.send(in_http10(&gateway.request(method, target, "connection: keep-alive\r\n"))).await;
        let response = connection.response(true).await;
        assert_eq!(response.status, status, "{method} {target}");
        assert_eq!(response.header("transfer-encoding"), None, "{method} {target}");
    }
}

#[actix_web::test]
async fn a_large_body_that_breaks_off_is_a_reset_however_it_does() {
    let begun = format!("{CHUNKED}{}", chunks(&large()));
    for (name, answer) in [
        ("closed", Answer::bytes_then_close(&begun)),
        ("closed in a chunk", Answer::bytes_then_close(&begun[..begun.len() - 100])),
        ("reset", Answer::BytesThenReset(begun.clone().into_bytes())),
        ("no chunk", Answer::bytes(&format!("{begun}no chunk\r\n"))),
        ("old", Answer::BytesThenReset(format!("HTTP/1.0 200 OK\r\n\r\n{}", large()).into_bytes())),
    ] {
        let mlflow = Server::start(move |_| answer.clone()).await;
        let gateway = Gateway::start(&mlflow).await;
        let answer = ask_to_end(gateway.address, &in_http10(&gateway.request("GET", SEARCH, ""))).await;
        assert_eq!(answer.status(), "200", "{name}");
        assert!(answer.was_reset(), "{name}: {:?} after {} bytes", answer.end, answer.body.len());
    }
}

#[actix_web::test]
async fn a_small_body_that_breaks_off_is_an_error_of_the_gateways() {
    let begun = format!("{CHUNKED}{}", chunks("only this"));
    for (answer, reason) in [
        (Answer::bytes_then_close(&begun), "upstream_unavailable"),
        (Answer::bytes(&format!("{begun}no size\r\n")), "upstream_protocol"),
    ] {
        let mlflow = Server::start(move |_| answer.clone()).await;
        let gateway = Gateway::start(&mlflow).await;
        let response = ask(gateway.address, in_http10(&gateway.request("GET", SEARCH, ""))).await;
        assert_eq!((response.status, response.reason().as_str()), (502, reason));
    }
}

#[actix_web::test]
async fn a_small_body_that_comes_slowly_begins_before_it_is_whole() {
    let mlflow = Server::start(|_| {
        let pieces = [CHUNKED.to_owned() + &chunks("first"), chunks("second"), "0\r\n\r\n".to_owned()];
        Answer::Pieces(pieces.map(String::into_bytes).to_vec(), Duration::from_millis(1500))
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let answer = ask_to_end(gateway.address, &in_http10(&gateway.request("GET", SEARCH, ""))).await;
    assert!(answer.end.is_ok() && !answer.head.contains("content-length"), "{}", answer.head);
    assert_eq!(answer.body, "firstsecond");
}

/// A gateway of its own process in the middle of a large body for a client that has read nothing of it yet.
async fn in_the_middle(settings: &[(&str, &str)]) -> (Process, TcpStream, tempfile::TempDir) {
    // More than the kernels take.
    let body = large().repeat(100);
    let answer = format!("{CHUNKED}{}0\r\n\r\n", chunks(&body));
    let mlflow = Server::start(move |_| Answer::bytes(&answer)).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder.path().join("keys.toml"), "ada", None).key;
    let url = mlflow.url();
    let settings = [&[("MLFLOW_SERVER_URL", url.as_str())], settings].concat();
    let gateway = Process::serve(folder.path(), &settings);
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let key = key.expose_secret();
    let get = format!("GET {SEARCH} HTTP/1.0\r\nauthorization: Bearer {key}\r\n\r\n");
    client.write_all(get.as_bytes()).await.unwrap();
    client.readable().await.unwrap();
    (gateway, client, folder)
}

#[actix_web::test]
async fn when_the_gateway_is_killed_in_the_middle_its_client_is_reset() {
    let (mut gateway, mut client, _folder) = in_the_middle(&[]).await;
    gateway.kill();
    gateway.wait();
    assert!(read_to_end(&mut client).await.was_reset());
}

#[actix_web::test]
async fn when_the_gateway_has_to_end_in_the_middle_its_client_is_reset() {
    let (mut gateway, mut client, _folder) = in_the_middle(&[("HOKUSAI__SERVER__DRAIN_GRACE", "1s")]).await;
    gateway.terminate();
    gateway.wait();
    assert!(read_to_end(&mut client).await.was_reset());
}

#[actix_web::test]
async fn a_client_that_sends_no_more_is_reset_in_the_middle() {
    let (_gateway, mut client, _folder) = in_the_middle(&[]).await;
    client.shutdown().await.unwrap();
    assert!(read_to_end(&mut client).await.was_reset());
}

#[actix_web::test]
async fn a_client_that_takes_nothing_is_reset_in_the_middle() {
    let (_gateway, client, _folder) = in_the_middle(&[("HOKUSAI__SERVER__BODY_IDLE_TIMEOUT", "1s")]).await;
    // Read from it is nothing, so that its end is not that of what it has.
    let reset =
        |error: Option<io::Error>| error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
    eventually("it is reset", async || reset(client.take_error().unwrap())).await;
}

#[actix_web::test]
async fn a_client_that_reads_slowly_gets_all_of_it_also_what_the_kernel_still_holds() {
    let (_gateway, mut client, _folder) = in_the_middle(&[]).await;
    actix_rt::time::sleep(Duration::from_secs(1)).await;
    let end = read_to_end(&mut client).await;
    assert!(end.end.is_ok() && end.body == large().repeat(100), "{:?} after {}", end.end, end.body.len());
}

#[actix_web::test]
async fn a_post_without_a_length_has_no_body_and_nothing_behind_it() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let post = in_http10(&gateway.request("POST", SEARCH, "connection: keep-alive\r\n"));
    for (number, pieces) in [vec![&post[..]], vec![&post[..3], &post[3..]], vec![&post[..40], &post[40..]]]
        .into_iter()
        .enumerate()
    {
        let mut connection = Connection::open(gateway.address).await;
        for piece in pieces {
            connection.send(piece).await;
            actix_rt::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(connection.response(false).await.status, 200, "{number}");
        assert!(connection.is_closed().await, "{number}");
        assert_eq!(mlflow.requests().len(), number + 1);
        assert_eq!(mlflow.requests()[number].header("content-length"), Some("0"), "{number}");
    }
    let behind = format!("{post}{}", gateway.request("GET", "/api/2.0/mlflow/runs/get?behind", ""));
    let answer = ask_to_end(gateway.address, &behind).await;
    assert_eq!(answer.status(), "200");
    assert!(!mlflow.requests().iter().any(|request| request.target().contains("behind")));
}

#[actix_web::test]
async fn the_gateway_tells_in_which_http_it_was_asked() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for version in ["1.0", "1.1"] {
        let get = format!("GET /version HTTP/{version}\r\nhost: a\r\n\r\n");
        assert_eq!(ask(gateway.address, get).await.header("x-hokusai-http-version"), Some(version));
    }
}
