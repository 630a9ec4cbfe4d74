//! The key that a command was given, as whoever can tell about keys knows it.

use jiff::Timestamp;

use crate::{
    auth::{KeyFile, Principal, Rejection},
    code::Code,
    doctor::{Fault, Finding, start_of},
    settings::Policy,
};

/// The key in the key file.
pub(super) fn in_file(keys: &KeyFile, key: &str, policy: &Policy) -> Finding {
    let refused = |what: &str, cause: &str| {
        Fault::new(
            Code::KeyRejected,
            what,
            cause,
            "a key of `hokusai-gateway keys list`; `keys create --user NAME` makes one",
        )
    };
    match keys.verify(key) {
        Ok(principal) => Ok(((), format!("the key is good: {}", told(&principal, policy, "the key")?))),
        Err(Rejection::Revoked { principal, at }) => {
            let id = principal.key_id.as_deref().unwrap_or_default();
            Err(refused(&format!("the key {id} was revoked at {at}"), "somebody ended it by `keys revoke`"))
        }
        Err(Rejection::Mistyped) => Err(refused(
            "the key is none: its checksum does not fit",
            "it was cut off or mistyped when it was copied, or is a key of something else",
        )),
        Err(Rejection::Unknown | Rejection::ByService(_)) => Err(refused(
            "the key is not in the key file",
            "it was made for another gateway, or removed from auth.key_file.path, or that is another file",
        )),
    }
}

/// Whose a key is and what it may do, as others say it; `whose`, where it has expired by this machine's clock: then the
/// gateway refuses it, whatever they say.
pub(super) fn told(principal: &Principal, policy: &Policy, whose: &str) -> Result<String, Fault> {
    if let Some(at) = principal.expires_at.filter(|at| *at <= Timestamp::now()) {
        return Err(Fault::new(
            Code::KeyRejected,
            format!("{whose} expired at {at}: the gateway refuses it"),
            "its time is over; or this machine's clock is ahead, which the checks of clocks tell",
            "a key that is good, or a later end of this one",
        ));
    }
    let word =
        |word: &Option<String>| word.as_deref().map_or("nobody".to_owned(), |word| start_of(word.as_bytes()));
    let scopes = principal.scopes.as_ref().map_or_else(|| "none named".to_owned(), |scopes| scopes.join(" "));
    let unknown: Vec<_> =
        principal.scopes.iter().flatten().filter(|scope| !policy.knows(scope)).map(String::as_str).collect();
    let unknown = match &unknown[..] {
        [] => String::new(),
        words => format!("; {} allows nothing: no scope and no alias", start_of(words.join(" ").as_bytes())),
    };
    let until = principal.expires_at.map_or_else(String::new, |at| format!(", until {at}"));
    let (key_id, user_id) = (word(&principal.key_id), word(&principal.user_id));
    Ok(format!("{key_id}, of {user_id}, scopes: {}{unknown}{until}", start_of(scopes.as_bytes())))
}
