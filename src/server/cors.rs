//! What other sites may do, by actix-cors: those of `server.cors.allowed_origins` may use the gateway with a browser's credentials. A
//! preflight is answered here, before authentication, for a browser sends no credential with it.

use actix_cors::Cors;
use actix_web::middleware::Condition;

use crate::{head, settings::WebOrigin};

/// Seconds for which a browser remembers the answer to a preflight.
const MAX_AGE: usize = 600;
/// What a page may read of an answer, beside what any may.
const EXPOSED: [&str; 7] = [
    "content-disposition",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "x-hokusai-error-source",
    "x-request-id",
];

/// The middleware; it does nothing where no site is allowed.
pub(super) fn cors(allowed: &[WebOrigin]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(head::METHODS)
        .allow_any_header()
        .expose_headers(EXPOSED)
        .supports_credentials()
        .max_age(MAX_AGE)
        // Whether a foreign page may do what it asks for, the walk decides; it just cannot read the answer.
        .block_on_origin_mismatch(false);
    let cors = allowed.iter().fold(cors, |cors, origin| cors.allowed_origin(origin.as_str()));
    Condition::new(!allowed.is_empty(), cors)
}
