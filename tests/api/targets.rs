//! Targets that MLflow's server takes and actix-http cannot read, over raw sockets: MLflow gets what they mean, and is asked for
//! nothing else than what was judged.

use std::time::Duration;

use crate::support::{Gateway, GatewayBuilder, Server, client::Connection, server::Answer};

const SEARCH: &str = "/api/2.0/mlflow/experiments/search";
const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1";
/// The longest target, and the longest path.
const TARGET: usize = 128 * 1024;
const PATH: usize = 60 * 1024;

fn request(gateway: &Gateway, method: &str, target: &[u8], rest: &str) -> Vec<u8> {
    let behind = gateway.request(method, "", rest);
    let behind = behind.strip_prefix(&format!("{method} ")).unwrap();
    [method.as_bytes(), b" ", target, behind.as_bytes()].concat()
}

/// The status of a request that comes in pieces of this size.
async fn status(gateway: &Gateway, request: &[u8], piece: usize) -> u16 {
    let mut connection = Connection::open(gateway.address).await;
    for piece in request.chunks(piece) {
        connection.send(piece).await;
        if piece.len() < request.len() {
            actix_rt::time::sleep(Duration::from_micros(300)).await;
        }
    }
    connection.response(false).await.status
}

#[actix_web::test]
async fn what_may_not_be_sent_raw_reaches_mlflow_encoded_and_all_else_as_it_came() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for (raw, sent_on) in [
        (format!("{SEARCH}?a=\"<>"), format!("{SEARCH}?a=%22%3C%3E")),
        (format!("{SEARCH}?a=|\\^`{{}}[]'~!*()@$,;:/?"), format!("{SEARCH}?a=|\\^`{{}}[]'~!*()@$,;:/?")),
        (format!("{SEARCH}?é=ü%C3%BC"), format!("{SEARCH}?%C3%A9=%C3%BC%C3%BC")),
        (format!("{SEARCH}?filter=name='a<b'&x=%3c"), format!("{SEARCH}?filter=name='a%3Cb'&x=%3c")),
        (format!("{ARTIFACT}/a<b>`\"|^{{c}}"), format!("{ARTIFACT}/a%3Cb%3E%60\"|^{{c}}")),
        (format!("{ARTIFACT}/日本.txt"), format!("{ARTIFACT}/%E6%97%A5%E6%9C%AC.txt")),
        (format!("{ARTIFACT}/a\\b\\..?c=\\"), format!("{ARTIFACT}/a%5Cb%5C..?c=\\")),
        (format!("{ARTIFACT}/a`?b=`"), format!("{ARTIFACT}/a%60?b=`")),
    ] {
        for mount in ["", "/api/mlflow", "/mlflow"] {
            let request = request(&gateway, "GET", format!("{mount}{raw}").as_bytes(), "");
            for piece in [request.len(), 1] {
                let seen = mlflow.requests().len();
                assert_eq!(status(&gateway, &request, piece).await, 200, "{mount}{raw} by {piece}");
                let requests = mlflow.requests();
                assert_eq!((requests.len(), requests[seen].target()), (seen + 1, &*sent_on), "{mount}{raw}");
            }
        }
    }
}

#[actix_web::test]
async fn bytes_that_are_no_utf_8_pass_in_a_query_also_without_a_length_and_in_pieces() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for (raw, sent_on) in [(&b"\xe9"[..], "%E9"), (b"<\"", "%3C%22"), (b"a\xff\xc3b", "a%FF%C3b")] {
        let target = [SEARCH.as_bytes(), b"?a=", raw].concat();
        let get = request(&gateway, "GET", &target, "");
        let post = request(&gateway, "POST", &target, "");
        let version = post.windows(8).position(|bytes| bytes == b"HTTP/1.1").unwrap();
        let post = [&post[..version], b"HTTP/1.0", &post[version + 8..]].concat();
        for request in [get, post] {
            for piece in [request.len(), target.len() + 8, 1] {
                assert_eq!(status(&gateway, &request, piece).await, 200, "{sent_on} by {piece}");
                let seen = mlflow.requests().pop().unwrap();
                assert!(seen.target().ends_with(&format!("?a={sent_on}")), "{}", seen.target());
            }
        }
    }
}

#[actix_web::test]
async fn a_raw_byte_hides_nothing_from_the_judgement() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let refused: [(&[u8], u16); 15] = [
        (b"/api/mlflow/../<", 400),
        (b"/api/mlflow/%2e%2e/<", 400),
        (b"/api/mlflow/x/\xc0\xae\xc0\xae/y", 400),
        (b"/api/mlflow/a\\<", 400),
        (b"/api/mlflow/a\\b", 400),
        (b"/api/mlflow/api/2.0\\mlflow/runs/get", 400),
        (b"\\api/2.0/mlflow/runs/get", 400),
        (b"/api/mlflow/api//2.0/mlflow/runs/get?<", 400),
        (b"/api/mlflow/api%2f2.0/mlflow/runs/get?<", 400),
        (b"/api/2.0/mlflow/runs/get#<", 400),
        (b"/api/2.0/mlflow/runs/get?<#", 400),
        (b"/<script>", 404),
        (b"/api/mlflow/api/2.0/mlflow/no-such-<route>", 404),
        (b"/api/2.0/mlflow-artifacts/artifacts/1/a/../../../<", 400),
        (b"/api/2.0/mlflow/assistant/<", 404),
    ];
    for (target, expected) in refused {
        let name = String::from_utf8_lossy(target);
        let request = request(&gateway, "GET", target, "");
        assert_eq!(status(&gateway, &request, request.len()).await, expected, "{name}");
    }
    for target in [&b"/x\x7f<"[..], b"/x\x01<", b"/x\t<", b"http://gateway.example/<", b"<", b"*<"] {
        let request = request(&gateway, "GET", target, "");
        assert_eq!(status(&gateway, &request, request.len()).await, 400, "{target:?}");
    }
    // Nor without a key.
    let stranger = format!("GET {SEARCH}?< HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(status(&gateway, stranger.as_bytes(), stranger.len()).await, 401);
    assert!(mlflow.requests().is_empty(), "{:?}", mlflow.requests());
}

#[actix_web::test]
async fn each_request_on_a_connection_has_its_own_target() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let expect = "expect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    // A body that looks like a head is none.
    let looks_like_one = "content-length: 17\r\n\r\nGET /<a HTTP/1.1\n";
    let stream = [
        request(&gateway, "GET", format!("{SEARCH}?first=<").as_bytes(), ""),
        request(&gateway, "GET", format!("{SEARCH}?second").as_bytes(), ""),
        request(&gateway, "GET", b"/live?\"", ""),
        request(&gateway, "POST", format!("{SEARCH}?third=\"").as_bytes(), looks_like_one),
        request(&gateway, "PUT", format!("{ARTIFACT}/fourth>").as_bytes(), expect),
        b"hi".to_vec(),
        request(&gateway, "GET", format!("{SEARCH}?fifth").as_bytes(), ""),
    ]
    .concat();
    let mut connection = Connection::open(gateway.address).await;
    connection.send(&stream).await;
    for expected in [200, 200, 200, 200, 100, 200, 200] {
        assert_eq!(connection.response(false).await.status, expected);
    }
    let requests = mlflow.requests();
    let targets: Vec<_> = requests.iter().map(|request| request.target().to_owned()).collect();
    let expected = ["?first=%3C", "?second", "?third=%22", "/fourth%3E", "?fifth"].map(str::to_owned);
    assert!(targets.iter().zip(&expected).all(|(target, end)| target.ends_with(end)), "{targets:?}");
    assert_eq!(targets.len(), expected.len());
    assert_eq!((requests[2].text().as_str(), requests[3].text().as_str()), ("GET /<a HTTP/1.1\n", "hi"));
}

#[actix_web::test]
async fn a_refused_expectation_is_told_of_its_own_target() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let head = format!(
        "PUT {ARTIFACT}/../<a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
        gateway.key
    );
    let mut connection = Connection::open(gateway.address).await;
    connection.send(&head).await;
    let response = connection.response(false).await;
    assert_eq!((response.status, response.reason().as_str()), (400, "bad_path"));
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn a_search_with_1600_runs_reaches_mlflow_and_so_does_the_longest_target() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    // What is put before it does not count.
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__STATIC_PREFIX", &format!("/{}", "p".repeat(1000)))
        .start(&mlflow)
        .await;
    let history = "/ajax-api/2.0/mlflow/metrics/get-history-bulk";
    let runs = |count: usize| {
        format!("{history}?{}metric_key=m", "run_id=0123456789abcdef0123456789abcdef&".repeat(count))
    };
    let padded = |path: String, length: usize, by: &str| format!("{path}{}", by.repeat(length - path.len()));
    let longest = padded(format!("{SEARCH}?"), TARGET, "x");
    let longest_path = padded(format!("{ARTIFACT}/"), PATH, "x");
    for target in [runs(1600), runs(3200), longest.clone(), longest_path.clone(), format!("{longest_path}?a")]
    {
        let request = request(&gateway, "GET", target.as_bytes(), "");
        for piece in [request.len(), 10_000] {
            let seen = mlflow.requests().len();
            assert_eq!(status(&gateway, &request, piece).await, 200, "{target:.80}");
            assert!(mlflow.requests()[seen].target().ends_with(&target), "{target:.80}");
        }
    }
    let seen = mlflow.requests().len();
    for target in [
        format!("{longest}x"),
        format!("{longest_path}x"),
        format!("{longest_path}x<"),
        format!("{longest_path}x?{}", "y".repeat(10_000)),
        // Where 16 bits begin again: the path of an open route, if they were believed.
        format!("/live{}?a", "/x".repeat(32_768)),
        format!("/live{}", "x".repeat(65_536)),
        // It is what is sent on that has a length.
        padded(format!("{SEARCH}?"), TARGET / 2, "<"),
    ] {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(request(&gateway, "GET", target.as_bytes(), "")).await;
        let response = connection.response(false).await;
        assert_eq!((response.status, response.reason().as_str()), (414, "bad_request"), "{target:.80}");
        assert!(response.text().contains("the target is longer than 128 KiB, or its path than 60 KiB"));
    }
    assert_eq!(mlflow.requests().len(), seen);
}

#[actix_web::test]
async fn a_path_that_is_too_long_with_what_is_put_before_it_is_sent_nowhere() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__STATIC_PREFIX", &format!("/{}", "p".repeat(5000)))
        .start(&mlflow)
        .await;
    let target = format!("{ARTIFACT}/{}?a", "x".repeat(PATH - ARTIFACT.len() - 1));
    let mut connection = Connection::open(gateway.address).await;
    connection.send(request(&gateway, "GET", target.as_bytes(), "")).await;
    let response = connection.response(false).await;
    assert_eq!((response.status, response.reason().as_str()), (400, "bad_path"));
    assert!(response.text().contains("the path is too long to be sent on"));
    assert!(mlflow.requests().is_empty());
}
