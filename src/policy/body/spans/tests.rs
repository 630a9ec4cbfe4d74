use std::io::Write as _;

use actix_web::{http::header::HeaderValue, test::TestRequest};
use flate2::{
    Compression as Level,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use super::*;

const MOST: usize = 64 * 1024;

fn encoding(fields: &[(HeaderName, &'static str)]) -> Result<Encoding, BodyError> {
    Encoding::of(&head(fields), false)
}

fn decompressed(encoding: &'static str, body: &[u8]) -> Result<Vec<u8>, BodyError> {
    let fields = [(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, encoding)];
    let text = self::encoding(&fields)?.decompress(body, MOST)?;
    Ok(text.unwrap_or_else(|| body.to_vec()))
}

fn head(fields: &[(HeaderName, &'static str)]) -> RequestHead {
    let mut head = TestRequest::default().to_http_request().head().clone();
    for (name, value) in fields {
        head.headers.append(name.clone(), HeaderValue::from_static(value));
    }
    head
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn spans_come_in_the_types_and_encodings_that_mlflow_reads() {
    let protobuf = "application/x-protobuf";
    for (fields, is_json) in [
        (&[(CONTENT_TYPE, protobuf)][..], Some(false)),
        (&[(CONTENT_TYPE, "application/json; charset=utf-8")], Some(true)),
        (&[(CONTENT_TYPE, protobuf), (CONTENT_ENCODING, "GZip")], Some(false)),
        (&[(CONTENT_TYPE, protobuf), (CONTENT_ENCODING, "deflate")], Some(false)),
        (&[(CONTENT_TYPE, protobuf), (CONTENT_ENCODING, "")], Some(false)),
        (&[], None),
        (&[(CONTENT_TYPE, "application/protobuf")], None),
        (&[(CONTENT_TYPE, "Application/Json")], None),
        (&[(CONTENT_TYPE, protobuf), (CONTENT_TYPE, "application/json")], None),
        (&[(CONTENT_TYPE, protobuf), (CONTENT_ENCODING, "zstd")], None),
        (&[(CONTENT_TYPE, protobuf), (CONTENT_ENCODING, "gzip, gzip")], None),
        (&[(CONTENT_TYPE, protobuf), (CONTENT_ENCODING, "gzip"), (CONTENT_ENCODING, "gzip")], None),
    ] {
        assert_eq!(encoding(fields).ok().map(|encoding| encoding.is_json), is_json, "{fields:?}");
    }
}

#[test]
fn what_is_compressed_is_read() {
    let text = b"spans ".repeat(1000);
    let mut zlib = ZlibEncoder::new(Vec::new(), Level::fast());
    zlib.write_all(&text).unwrap();
    let mut raw = DeflateEncoder::new(Vec::new(), Level::fast());
    raw.write_all(&text).unwrap();
    let members = [gzip(&text[..500]), gzip(&text[500..])].concat();
    for (encoding, body) in [
        ("", text.clone()),
        ("gzip", gzip(&text)),
        ("gzip", members),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
    ] {
        assert_eq!(decompressed(encoding, &body).unwrap(), text, "{encoding}");
    }
}

#[test]
fn what_is_no_compressed_text_is_refused() {
    let good = gzip(&b"spans ".repeat(1000));
    let mut damaged = good.clone();
    let end = damaged.len() - 6;
    damaged[end] ^= 1;
    for body in [&b"spans"[..], b"", &good[..good.len() - 9], &damaged, &[good.as_slice(), b"more"].concat()]
    {
        assert!(matches!(decompressed("gzip", body), Err(BodyError::Ambiguous(_))), "{body:?}");
    }
}

#[test]
fn a_bomb_is_not_read_to_its_end() {
    let bomb = |size| gzip(&vec![0; size]);
    assert_eq!(decompressed("gzip", &bomb(MOST)).unwrap().len(), MOST);
    for size in [MOST + 1, 64 * MOST] {
        assert!(matches!(decompressed("gzip", &bomb(size)), Err(BodyError::TooLargeInside(MOST))));
    }
}
