use super::*;

fn verdict(status: StatusCode, body: &str, bare_refusals: bool) -> Result<Principal, AuthError> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let answer = Answer { status, content: "application/json", body };
    answer.verdict("platform", "the-key-S3CR3T", bare_refusals)
}

fn word<T>(verdict: Result<T, AuthError>) -> &'static str {
    match verdict {
        Ok(_) => "accepted",
        Err(AuthError::Rejected(_)) => "rejected",
        Err(_) => "unavailable",
    }
}

fn outcome(body: &str) -> &'static str {
    word(verdict(StatusCode::OK, body, false))
}

#[test]
fn only_an_object_that_says_so_refuses_a_key_by_its_status() {
    // What is bare is a refusal where the settings say so.
    for (body, expected, bare) in [
        (r#"{"is_valid": false}"#, "rejected", "rejected"),
        (r#"{"error": "no such key"}"#, "rejected", "rejected"),
        (r#"{"error": {"code": 7}, "is_valid": true}"#, "rejected", "rejected"),
        (r#"{"detail": "Not Found"}"#, "rejected", "rejected"),
        ("", "unavailable", "rejected"),
        (" \n", "unavailable", "rejected"),
        ("{}", "unavailable", "rejected"),
        (r#"{"message": "Forbidden"}"#, "unavailable", "rejected"),
        (r#"{"error": null, "detail": null}"#, "unavailable", "rejected"),
        (r#"{"is_valid": true}"#, "unavailable", "rejected"),
        (r#"{"is_valid": null}"#, "unavailable", "rejected"),
        ("<html>403 Forbidden</html>", "unavailable", "unavailable"),
        ("403 Forbidden", "unavailable", "unavailable"),
        (r#"["error", "detail"]"#, "unavailable", "unavailable"),
        (r#""error""#, "unavailable", "unavailable"),
        (r#"{"is_valid": false"#, "unavailable", "unavailable"),
        (r#"<!-- {"is_valid": false} -->"#, "unavailable", "unavailable"),
    ] {
        for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
            assert_eq!(word(verdict(status, body, false)), expected, "{status} {body}");
            assert_eq!(word(verdict(status, body, true)), bare, "{status} {body}, bare");
        }
        for status in [StatusCode::BAD_REQUEST, StatusCode::BAD_GATEWAY, StatusCode::NO_CONTENT] {
            assert_eq!(word(verdict(status, body, true)), "unavailable", "{status} {body}");
        }
    }
}

#[test]
fn no_error_tells_what_was_answered() {
    for body in [
        r#"{"is_valid": true, "scopes": "S3CR3T"}"#,
        r#"{"is_valid": true, "expires_at": "S3CR3T"}"#,
        r#"{"is_valid": true, "workspace": "S3CR3T"}"#,
        r#"{"is_valid": true, "is_admin": "S3CR3T"}"#,
        r#"{"is_valid": true, "models": "S3CR3T"}"#,
        r#"{"is_valid": true, "experiments": ["[S3CR3T"]}"#,
        r#"{"is_valid": true, "S3CR3T": 1, "user_id": "a", "user_id": "S3CR3T"}"#,
        r#"{"is_valid": true, "service_id": "S3CR3T key"}"#,
        r#"{"is_valid": true, "service_id": "S3CR3T"}"#,
        r#"{"is_valid": true, "service_id": "x.the-key-S3CR3T"}"#,
        r#"{"is_valid": true, "service_id": {"S3CR3T": 1}}"#,
        r#"{"is_valid": true} S3CR3T"#,
        "S3CR3T",
    ] {
        let Err(AuthError::Unavailable(fault)) = verdict(StatusCode::OK, body, false) else {
            panic!("{body} is a verdict")
        };
        let told = format!("{fault} {fault:?}");
        assert!(!told.contains("S3CR3T") && !told.contains("the-key"), "{told}");
    }
}

#[test]
fn only_the_boolean_true_is_a_yes() {
    for (body, expected) in [
        (r#"{"is_valid": true}"#, "accepted"),
        (r#"{"is_valid": true, "user_id": "u", "billing_plan": "free"}"#, "accepted"),
        (r#"{"is_valid": true, "user_id": null, "scopes": null, "expires_at": null}"#, "accepted"),
        (r#"{"is_valid": true, "rate_limit_per_hour": 0}"#, "accepted"),
        (r#"{"is_valid": true, "rate_limit_per_hour": 1000.0}"#, "accepted"),
        (r#"{"is_valid": false}"#, "rejected"),
        (r#"{"is_valid": "true"}"#, "rejected"),
        (r#"{"is_valid": 1}"#, "rejected"),
        (r#"{"is_valid": null}"#, "rejected"),
        (r#"{"is_valid": [true]}"#, "rejected"),
        (r#"{"is_valid": false, "is_valid": true}"#, "rejected"),
        (r#"{"is_valid": true, "is_valid": true}"#, "rejected"),
        (r#"{"valid": true}"#, "rejected"),
        ("{}", "rejected"),
        ("[]", "rejected"),
        ("[true]", "rejected"),
        ("true", "rejected"),
        ("", "unavailable"),
        ("<html>", "unavailable"),
        (r#"{"is_valid": tru"#, "unavailable"),
        (r#"{"is_valid": true} trailing"#, "unavailable"),
        (r#"{"is_valid": true, "expires_at": "soon"}"#, "unavailable"),
        (r#"{"is_valid": true, "scopes": "mlflow:read"}"#, "unavailable"),
        (r#"{"is_valid": true, "is_admin": null, "workspace": null}"#, "accepted"),
        (r#"{"is_valid": true, "is_admin": "false"}"#, "unavailable"),
        (r#"{"is_valid": true, "workspace": ""}"#, "unavailable"),
        (r#"{"is_valid": true, "workspace": "a, b"}"#, "unavailable"),
        (r#"{"is_valid": true, "models": null, "experiments": null}"#, "accepted"),
        (r#"{"is_valid": true, "models": [], "experiments": ["*", "{a,b}-[0-9]"]}"#, "accepted"),
        (r#"{"is_valid": true, "models": "acme-*"}"#, "unavailable"),
        (r#"{"is_valid": true, "models": {"0": "acme-*"}}"#, "unavailable"),
        (r#"{"is_valid": true, "models": false}"#, "unavailable"),
        (r#"{"is_valid": true, "models": [null]}"#, "unavailable"),
        (r#"{"is_valid": true, "models": ["acme-*", 7]}"#, "unavailable"),
        (r#"{"is_valid": true, "models": ["[acme"]}"#, "unavailable"),
        (r#"{"is_valid": true, "experiments": ["{acme"]}"#, "unavailable"),
        (r#"{"is_valid": true, "experiments": "[]"}"#, "unavailable"),
        (r#"{"is_valid": true, "models": ["a"], "models": null}"#, "unavailable"),
        (r#"{"is_valid": false, "models": "acme-*"}"#, "rejected"),
        (r#"{"is_valid": true, "user_id": "a", "user_id": "b"}"#, "unavailable"),
        (r#"{"is_valid": true, "service_id": "platform"}"#, "accepted"),
        (r#"{"is_valid": true, "service_id": null}"#, "accepted"),
        (r#"{"is_valid": true, "service_id": "ml-platform"}"#, "unavailable"),
        (r#"{"is_valid": true, "service_id": ["platform"]}"#, "unavailable"),
        (r#"{"is_valid": false, "service_id": "ml-platform"}"#, "rejected"),
    ] {
        assert_eq!(outcome(body), expected, "{body}");
    }
}

#[test]
fn a_yes_that_is_larger_than_can_be_remembered_is_none() {
    let (fits, long) = ("ä".repeat(MAX_TEXT), "ä".repeat(MAX_TEXT + 1));
    let (all, many) = (vec![fits.as_str(); MAX_SCOPES], vec!["s"; MAX_SCOPES + 1]);
    for (name, fitting, too_large) in [
        ("user_id", serde_json::json!(fits), serde_json::json!(long)),
        ("key_id", serde_json::json!(fits), serde_json::json!(long)),
        ("scopes", serde_json::json!(all), serde_json::json!([long])),
        ("scopes", serde_json::json!([]), serde_json::json!(many)),
        ("models", serde_json::json!(many[1..]), serde_json::json!(many)),
        ("models", serde_json::json!([fits]), serde_json::json!([long])),
        ("experiments", serde_json::json!(many[1..]), serde_json::json!(many)),
        ("experiments", serde_json::json!(["a"]), serde_json::json!(all)),
    ] {
        for (value, expected) in [(fitting, "accepted"), (too_large, "unavailable")] {
            let body = serde_json::json!({"is_valid": true, name: value}).to_string();
            assert_eq!(outcome(&body), expected, "{name}");
        }
    }
}

#[test]
fn the_particulars_of_a_yes_are_read() {
    let body = br#"{"is_valid":true,"user_id":"u-1","key_id":"k-1","scopes":["mlflow:read"],
                   "is_admin":true,"workspace":"team-a","models":["acme-*"],"experiments":[],
                   "expires_at":"2030-01-01T00:00:00"}"#;
    let principal = verdict(StatusCode::OK, str::from_utf8(body).unwrap(), false).unwrap();
    assert_eq!(principal.user_id.as_deref(), Some("u-1"));
    assert_eq!(principal.key_id.as_deref(), Some("k-1"));
    assert_eq!(principal.scopes, Some(vec!["mlflow:read".to_owned()]));
    assert!(principal.is_admin);
    assert_eq!(principal.workspace.unwrap().as_str(), "team-a");
    assert_eq!(principal.fence.models.unwrap().patterns(), ["acme-*"]);
    assert_eq!(principal.fence.experiments.unwrap().patterns(), [""; 0]);
    assert_eq!(principal.expires_at, "2030-01-01T00:00:00Z".parse().ok());
}

#[test]
fn an_empty_id_is_none() {
    let body = r#"{"is_valid": true, "user_id": "", "key_id": ""}"#;
    let principal = verdict(StatusCode::OK, body, false).unwrap();
    assert_eq!((principal.user_id, principal.key_id), (None, None));
}
