//! Cache headers of responses: the answer to a key is only for whoever sent that key (RFC 9111).
//!
//! A cache does not know that `X-API-Key` is a credential, and many store a response without cache headers.

use actix_web::http::header::{HeaderName, HeaderValue};

/// What an answer depends on: every header that a credential may be in, and the one that chooses the workspace.
pub(crate) const VARYING: HeaderValue =
    HeaderValue::from_static("Authorization, X-API-Key, Cookie, X-MLFLOW-WORKSPACE");
const PRIVATE: HeaderValue = HeaderValue::from_static("private");

/// What some caches believe before `Cache-Control` (RFC 9213, nginx, Fastly), and what makes nginx answer something else.
const FOR_CACHES_ALONE: [&str; 4] =
    ["cdn-cache-control", "surrogate-control", "x-accel-expires", "x-accel-redirect"];

pub(super) fn is_for_caches_alone(name: &HeaderName) -> bool {
    FOR_CACHES_ALONE.contains(&name.as_str()) || name.as_str().ends_with("-cdn-cache-control")
}

/// `Cache-Control` for the client, of those that MLflow sent: what it says of freshness stays, what opens it to shared
/// caches does not.
pub(super) fn control<'a>(said: impl Iterator<Item = &'a HeaderValue>) -> HeaderValue {
    let mut kept = Vec::new();
    let mut is_stored = true;
    for directive in said.filter_map(|value| value.to_str().ok()).flat_map(directives) {
        let name = directive.split('=').next().unwrap_or_default().trim_end();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // `private="a field"` is said of that field alone; `must-understand` takes `no-store` back.
        if is("public") || is("s-maxage") || is("private") || is("must-understand") {
            continue;
        }
        is_stored &= !is("no-store");
        kept.push(directive);
    }
    if kept.is_empty() {
        return PRIVATE;
    }
    if is_stored {
        kept.push("private");
    }
    HeaderValue::try_from(kept.join(", ")).unwrap_or(PRIVATE)
}

/// `Vary` for the client, of those that MLflow sent.
pub(super) fn vary<'a>(said: impl Iterator<Item = &'a HeaderValue>) -> HeaderValue {
    let mut said = said.filter_map(|value| value.to_str().ok()).peekable();
    if said.peek().is_none() {
        return VARYING;
    }
    let mut all: Vec<_> = said.collect();
    let ours = VARYING;
    all.extend(ours.to_str());
    HeaderValue::try_from(all.join(", ")).unwrap_or(VARYING)
}

/// The directives of a value: a comma inside quotes ends none.
fn directives(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let ends = move |character: char| {
        is_quoted ^= character == '"' && !is_escaped;
        is_escaped = is_quoted && character == '\\' && !is_escaped;
        character == ',' && !is_quoted
    };
    value.split(ends).map(str::trim).filter(|directive| !directive.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_for_shared_caches_and_what_mlflow_says_of_freshness_stays() {
        for (said, told) in [
            (&[][..], "private"),
            (&[""], "private"),
            (&["private"], "private"),
            (&["Private, max-age=60"], "max-age=60, private"),
            (&["no-store"], "no-store"),
            (&["No-Store, max-age=0"], "No-Store, max-age=0"),
            (&["no-cache"], "no-cache, private"),
            (&["public, max-age=2419200"], "max-age=2419200, private"),
            (&["PUBLIC"], "private"),
            (&["max-age=60, s-maxage=600 , must-revalidate"], "max-age=60, must-revalidate, private"),
            (&["S-MaxAge = 600"], "private"),
            (&["max-age=60", "public"], "max-age=60, private"),
            (&["no-cache", "no-store"], "no-cache, no-store"),
            (&["no-store, must-understand, public"], "no-store"),
            (&[r#"private="set-cookie, x", max-age=9"#], "max-age=9, private"),
            (&[r#"no-cache="a, \"public, b""#], r#"no-cache="a, \"public, b", private"#),
            (&["immutable,, ,public"], "immutable, private"),
        ] {
            let said: Vec<_> = said.iter().map(|value| HeaderValue::from_static(value)).collect();
            assert_eq!(control(said.iter()), told, "{said:?}");
        }
        let unreadable = HeaderValue::from_bytes(b"public, \xff").unwrap();
        assert_eq!(control([&unreadable].into_iter()), "private");
    }

    #[test]
    fn an_answer_varies_on_every_credential_beside_what_mlflow_says() {
        let ours = VARYING;
        let ours = ours.to_str().unwrap();
        for (said, told) in [
            (&[][..], ours.to_owned()),
            (&["Origin"], format!("Origin, {ours}")),
            (&["Origin", "Accept-Encoding, Cookie"], format!("Origin, Accept-Encoding, Cookie, {ours}")),
            (&["*"], format!("*, {ours}")),
        ] {
            let said: Vec<_> = said.iter().map(|value| HeaderValue::from_static(value)).collect();
            assert_eq!(vary(said.iter()), told.as_str(), "{said:?}");
        }
    }
}
