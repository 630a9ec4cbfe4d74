//! Bodies of OpenTelemetry's spans as MLflow takes them: protobuf or JSON, compressed or not (mlflow/server/otel_api.py).
//!
//! What was compressed goes on to MLflow as it was read, so no two readers of a compressed text can differ.

use std::io::Read;

use actix_web::{
    dev::RequestHead,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName},
    web::Bytes,
};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use serde_json::Value;

use super::{BodyError, CheckedBody};
use crate::{
    auth::Principal,
    policy::{body_memory::Reservation, json, workspace},
};

/// The most values and names in a body of JSON: an exporter sends 512 spans at once, of about 100 values each. What was parsed is
/// dropped before anybody is waited for.
const MAX_VALUES: usize = 200_000;

/// A body of spans that was read.
#[derive(Debug)]
pub(crate) enum SpansBody {
    /// Not decoded yet.
    Protobuf(Bytes),
    Json(Value),
}

/// How a body of spans is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding {
    is_json: bool,
    compression: Option<Compression>,
}

#[derive(Debug, Clone, Copy)]
enum Compression {
    Gzip,
    /// With zlib's header or without one.
    Deflate,
}

impl Encoding {
    /// `is_bound`: of a key that is bound to a workspace.
    ///
    /// # Errors
    /// Headers that MLflow refuses, or of which it would read one of two.
    pub(super) fn of(head: &RequestHead, is_bound: bool) -> Result<Self, BodyError> {
        if is_bound {
            can_be_scanned(head)?;
        }
        let refuse = |what| Err(BodyError::Ambiguous(what));
        let only = |name: HeaderName| {
            let mut values = head.headers.get_all(name).map(|value| value.to_str().unwrap_or("?").trim());
            (values.next().unwrap_or_default(), values.next().is_some())
        };
        let is_json = match only(CONTENT_TYPE) {
            (_, true) => return refuse("has two content types"),
            (content_type, _) => match content_type.split(';').next().unwrap_or_default().trim() {
                "application/x-protobuf" => false,
                "application/json" => true,
                _ => return refuse("is neither application/x-protobuf nor application/json, as spans are"),
            },
        };
        let compression = match only(CONTENT_ENCODING) {
            (_, true) => return refuse("has two content encodings"),
            (encoding, _) => match encoding.to_ascii_lowercase().as_str() {
                "" => None,
                "gzip" => Some(Compression::Gzip),
                "deflate" => Some(Compression::Deflate),
                _ => {
                    return refuse(
                        "has a content encoding that MLflow does not read: gzip and deflate are known",
                    );
                }
            },
        };
        Ok(Self { is_json, compression })
    }

    pub(super) fn is_compressed(self) -> bool {
        self.compression.is_some()
    }

    /// The text of a body that is compressed.
    ///
    /// # Errors
    /// A text that cannot be decompressed, or is larger than `most` bytes then.
    pub(super) fn decompress(self, body: &[u8], most: usize) -> Result<Option<Vec<u8>>, BodyError> {
        let read = |decoder: &mut dyn Read| {
            let mut text = Vec::new();
            // One byte more tells that there is more.
            decoder.take(most as u64 + 1).read_to_end(&mut text).map(|_| text).ok()
        };
        let text = match self.compression {
            None => return Ok(None),
            Some(Compression::Gzip) => read(&mut MultiGzDecoder::new(body)),
            Some(Compression::Deflate) => {
                read(&mut ZlibDecoder::new(body)).or_else(|| read(&mut DeflateDecoder::new(body)))
            }
        };
        match text {
            Some(text) if text.len() > most => Err(BodyError::TooLargeInside(most)),
            Some(text) => Ok(Some(text)),
            None => Err(BodyError::Ambiguous("cannot be decompressed")),
        }
    }

    /// # Errors
    /// JSON that can be read in two ways.
    pub(super) fn read(self, body: &Bytes) -> Result<SpansBody, BodyError> {
        if !self.is_json {
            return Ok(SpansBody::Protobuf(body.clone()));
        }
        json::read_up_to(MAX_VALUES, body).map(SpansBody::Json).map_err(BodyError::NotJson)
    }
}

/// Spans are scanned as bytes: protobuf keeps texts as they are, JSON and compression do not.
pub(super) fn can_be_scanned(head: &RequestHead) -> Result<(), BodyError> {
    let is_protobuf = head.headers.get_all(CONTENT_TYPE).eq(["application/x-protobuf"]);
    if is_protobuf && !head.headers.contains_key(CONTENT_ENCODING) {
        return Ok(());
    }
    let what = "is not plain application/x-protobuf, the one form in which a key that is bound to a workspace may send spans";
    Err(BodyError::Ambiguous(what))
}

/// Reads spans, and what goes on of them.
///
/// # Errors
/// Spans that cannot be read in one way only, or lead out of the workspace.
pub(super) fn check(
    principal: &Principal,
    encoding: Encoding,
    body: &Bytes,
    most: usize,
    reservation: &Reservation,
) -> Result<CheckedBody, BodyError> {
    let text = encoding.decompress(body, most)?;
    let is_decompressed = text.is_some();
    let text = text.map_or_else(|| body.clone(), |text| reservation.hold(text));
    if let Some(workspace) = &principal.workspace {
        workspace::check_spans(workspace, &text)?;
    }
    let spans = Some(encoding.read(&text)?);
    Ok(CheckedBody { spans, is_decompressed, ..CheckedBody::read(text) })
}

#[cfg(test)]
mod tests;
