//! What never became a request is told like one: a line, a count, an id.

use actix_web::http::{Method, header::HeaderMap};
use uuid::Uuid;

use super::Gateway;
use crate::{
    client_ip::Client,
    connection::{NoRequest, RefusedInput},
    error::{self, GatewayError},
    exchange::Exchange,
    telemetry::spans,
};

impl Gateway {
    /// Tells of it, and returns the whole response.
    pub(crate) fn refuse(&self, fault: NoRequest, input: RefusedInput<'_>) -> Vec<u8> {
        let (context, span) = spans::begin(&HeaderMap::new(), Uuid::new_v4());
        let _inside = span.entered();
        // The headers that could name another are not read.
        let client = Client { ip: input.peer.map(|peer| peer.ip().to_canonical()), secure: input.secure };
        let exchange = Exchange::of_no_request(context, request_line(input.begin), client, &self.sinks);
        let error = GatewayError::from(fault);
        exchange.set_reason(error.reason());
        exchange.response_began(error.status());
        error::respond_in_bytes(&error, exchange.context().request_id_value())
    }
}

/// Method and path, where they are readable: neither is to be believed.
fn request_line(begin: &[u8]) -> (Method, &str) {
    let mut words = begin.split(|byte| byte.is_ascii_whitespace());
    let method = words.next().filter(|word| word.len() <= LONGEST_METHOD).map(Method::from_bytes);
    let path = words.next().and_then(|target| target.split(|byte| b"?#".contains(byte)).next());
    let path = path.map(|path| path.utf8_chunks().next().map_or("", |chunk| chunk.valid()));
    let unknown = || Method::from_bytes(b"-").unwrap_or_default();
    (method.and_then(Result::ok).unwrap_or_else(unknown), path.unwrap_or_default())
}

/// Bytes of a method that a line of the log has.
const LONGEST_METHOD: usize = 16;

#[cfg(test)]
mod tests {
    use super::request_line;

    #[test]
    fn a_line_that_is_none_has_no_method_and_no_path() {
        for (begin, method, path) in [
            (&b"GET /a?key=secret HTTP/1.1\r\n"[..], "GET", "/a"),
            (b"POST /\xc3\xa9/\xff/b", "POST", "/\u{e9}/"),
            (b"\x16\x03\x01\x02\x00", "-", ""),
            (b"", "-", ""),
            (b"AVERYLONGMETHODOFNOBODYS /a", "-", "/a"),
        ] {
            assert_eq!(request_line(begin), (method.parse().unwrap(), path), "{begin:?}");
        }
    }
}
