//! Bodies whose framing is ambiguous or broken.

use super::*;

#[actix_web::test]
async fn framing_that_could_be_read_in_two_ways_is_refused() {
    let stage = Stage::set().await;
    let te = |value: &str| post(&format!("transfer-encoding: {value}\r\n\r\n0\r\n\r\n"));
    let length = |value: &str| post(&format!("content-length: {value}\r\n\r\nhello"));
    for (name, request) in [
        ("length and chunks", post("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("chunks and length", post("transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n")),
        ("two lengths", post("content-length: 5\r\ncontent-length: 6\r\n\r\nhello")),
        ("the same length twice", post("content-length: 5\r\ncontent-length: 5\r\n\r\nhello")),
        ("a list of lengths", length("5, 5")),
        ("a signed length", length("+5")),
        ("a negative length", length("-1")),
        ("a hexadecimal length", length("0x5")),
        ("a length of 2^64", length("18446744073709551616")),
        ("an empty length", length("")),
        ("a length with a space", length("5 5")),
        ("an underscore", post("Content_Length: 5\r\n\r\n")),
        ("a space before the colon", post("content-length : 5\r\n\r\nhello")),
        ("an unknown coding", te("xchunked")),
        ("chunked before another", te("chunked, identity")),
        ("gzip before chunked", te("gzip, chunked")),
        ("two codings", post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("a control character in a coding", te("\x0bchunked")),
        (
            "chunks in HTTP/1.0",
            format!("POST {TARGET} HTTP/1.0\r\n{{host}}{{key}}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
    ] {
        stage.refuses(name, &[400, 501], &stage.filled(&request)).await;
    }
}

#[actix_web::test]
async fn chunks_that_are_none_end_the_upload() {
    for (name, body) in [
        ("a bare line feed", "5\nhello\r\n0\r\n\r\n"),
        ("a line feed in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("a hexadecimal prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-1\r\nhello\r\n0\r\n\r\n"),
        ("a size of 17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("no line end after the data", "5\r\nhello0\r\n\r\n"),
    ] {
        let stage = Stage::set().await;
        stage.breaks_off(name, &stage.filled(&chunked(body))).await;
        // The same behind a chunk that MLflow has got already.
        stage.breaks_off(name, &stage.filled(&chunked(&format!("3\r\nabc\r\n{body}")))).await;
    }
}

#[actix_web::test]
async fn framing_that_is_only_odd_is_made_plain() {
    let stage = Stage::set().await;
    for (name, request, body) in [
        ("leading zeros", post("content-length: 0005\r\n\r\nhello"), "hello"),
        ("tabs around a coding", post("transfer-encoding:\tchunked\t\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), "hi"),
        ("a space behind a size", chunked("2 \r\nhi\r\n0\r\n\r\n"), "hi"),
        ("a length as a trailer", chunked("2\r\nhi\r\n0\r\ncontent-length: 3\r\n\r\n"), "hi"),
    ] {
        stage.passes(name, &stage.filled(&request), body).await;
    }
    let seen = stage.mlflow.requests();
    assert_eq!(seen[0].header("content-length"), Some("5"));
    assert_eq!(seen[1].header("transfer-encoding"), Some("chunked"));
    assert!(seen.iter().all(|request| request.header("trailer").is_none()));
}

#[actix_web::test]
async fn a_trailer_never_becomes_a_request() {
    let stage = Stage::set().await;
    let smuggled = chunked(&format!("2\r\nhi\r\n0\r\nx: y\nGET {ARTIFACT} HTTP/1.1\r\n{{host}}{{key}}\r\n"));
    let mut connection = stage.connection(&stage.filled(&smuggled)).await;
    connection.response(false).await;
    let seen = stage.mlflow.requests();
    assert!(seen.len() <= 1 && seen.iter().all(|request| request.line.starts_with("POST")), "{seen:?}");
}

#[actix_web::test]
async fn a_body_that_is_all_framing_ends_the_upload_and_takes_no_memory() {
    let megabyte = "0".repeat(1 << 20);
    for (name, body) in [
        ("zeros before a size", format!("{megabyte}5\r\nhello\r\n0\r\n\r\n")),
        ("an extension", format!("5;{megabyte}\r\nhello\r\n0\r\n\r\n")),
        ("a trailer", format!("5\r\nhello\r\n0\r\nx: {megabyte}\r\n\r\n")),
    ] {
        let stage = Stage::set().await;
        let request = stage.filled(&chunked(&body));
        stage.breaks_off(name, &request).await;
    }
}

#[actix_web::test]
async fn a_body_shorter_than_its_length_is_never_whole() {
    let stage = Stage::set().await;
    let mut connection = stage.connection(&stage.filled(&post("content-length: 10\r\n\r\nhello"))).await;
    connection.finish().await;
    // Whoever still listens is told.
    connection.receive_slowly(usize::MAX, 4096, Duration::ZERO).await;
    assert!(connection.is_closed().await);
    assert!(stage.mlflow.requests().iter().all(|request| !request.complete));
}

#[actix_web::test]
async fn a_body_on_a_get_never_becomes_a_request() {
    let stage = Stage::set().await;
    let inner = format!("GET {ARTIFACT} HTTP/1.1\r\n{{host}}{{key}}\r\n");
    let inner = String::from_utf8(stage.filled(&inner)).unwrap();
    let length = format!("content-length: {}\r\n\r\n{inner}", inner.len());
    let chunks = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let behind = format!("GET {TARGET}?behind HTTP/1.1\r\n{{host}}{{key}}\r\n");
    for framed in [&length, &chunks] {
        let request = format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}{framed}{behind}");
        let mut connection = stage.connection(&stage.filled(&request)).await;
        for _ in 0..2 {
            assert_eq!(connection.response(false).await.status, 200, "{framed}");
        }
        let seen = stage.mlflow.requests();
        let [first, second] = &seen[seen.len() - 2..] else { panic!("MLflow saw {seen:?}") };
        assert_eq!((first.text(), first.complete), (inner.clone(), true), "{framed}");
        assert!(second.target().ends_with("?behind") && second.body.is_empty(), "{framed}: {second:?}");
    }
    assert_eq!(stage.mlflow.requests().len(), 4);

    let stage = Stage::set().await;
    for framed in [&length, &chunks] {
        let request = format!("HEAD {TARGET} HTTP/1.1\r\n{{host}}{{key}}{framed}{behind}");
        stage.refuses("a body on a HEAD", &[400], &stage.filled(&request)).await;
        // Parameters that are judged in a query could stand in the body.
        let request = format!("GET /get-artifact?path=a HTTP/1.1\r\n{{host}}{{key}}{framed}{behind}");
        stage.refuses("a body beside a query", &[400], &stage.filled(&request)).await;
    }
}
