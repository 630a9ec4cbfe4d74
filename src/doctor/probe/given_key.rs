//! The key that the command was given: whose it is, and what it may do.

use jiff::Timestamp;

use crate::{
    auth::{KeyFile, Principal, Rejection},
    code::Code,
    doctor::{Fault, Finding, passed, start_of},
    settings::Policy,
};

/// Looks the key up in the key file.
pub(super) fn in_file(keys: &KeyFile, key: &str, policy: &Policy) -> Finding {
    let refused = |what: &str, cause: &str| {
        let fix = "a key of `hokusai-gateway keys list`; `keys create --user NAME` creates one";
        Fault::new(Code::KeyRejected, what, cause, fix)
    };
    match keys.verify(key) {
        Ok(principal) => passed(format!("the key is good: {}", describe(&principal, policy, "the key")?)),
        Err(Rejection::Revoked { principal, at }) => {
            let id = principal.key_id.as_deref().unwrap_or_default();
            Err(refused(&format!("the key {id} was revoked at {at}"), "somebody ended it with `keys revoke`"))
        }
        Err(Rejection::Mistyped) => Err(refused(
            "the key is not valid: its checksum is wrong",
            "it was cut off or mistyped, or is a key of another service",
        )),
        Err(
            Rejection::Unknown
            | Rejection::ByService(_)
            | Rejection::Token { .. }
            | Rejection::Session { .. }
            | Rejection::Login(_),
        ) => Err(refused(
            "the key is not in the key file",
            "it was made for another gateway, or removed from auth.key_file.path; or auth.key_file.path is another file",
        )),
    }
}

/// Describes an accepted key, its owner and its scopes.
///
/// # Errors
/// The key, called `name` in the message, has expired by this machine's clock: the gateway refuses it.
pub(super) fn describe(principal: &Principal, policy: &Policy, name: &str) -> Result<String, Fault> {
    if let Some(at) = principal.expires_at.filter(|at| *at <= Timestamp::now()) {
        return Err(Fault::new(
            Code::KeyRejected,
            format!("{name} expired at {at}: the gateway refuses it"),
            "its time is over; or this machine's clock is ahead, which the checks of clocks show",
            "a valid key, or a later end of this one",
        ));
    }
    let or_nobody =
        |id: &Option<String>| id.as_deref().map_or("nobody".to_owned(), |id| start_of(id.as_bytes()));
    let (key_id, user_id) = (or_nobody(&principal.key_id), or_nobody(&principal.user_id));
    let scopes = principal.scopes.as_ref().map_or_else(|| "none named".to_owned(), |scopes| scopes.join(" "));
    let unknown: Vec<_> =
        principal.scopes.iter().flatten().filter(|scope| !policy.knows(scope)).map(String::as_str).collect();
    let unknown = match &unknown[..] {
        [] => String::new(),
        words => format!("; {} allows nothing: no scope and no alias", start_of(words.join(" ").as_bytes())),
    };
    let until = principal.expires_at.map_or_else(String::new, |at| format!(", until {at}"));
    Ok(format!("{key_id}, of {user_id}, scopes: {}{unknown}{until}", start_of(scopes.as_bytes())))
}
