//! An example token: all that the gateway would refuse it for, and the rule that fits it. The token itself is never printed.

use jiff::Timestamp;

use crate::{
    auth::{
        TokenFault,
        issuers::{Example, TrustedIssuer, key_set::KeySet},
    },
    code::Code,
    doctor::{Fault, Finding, Journal, passed, start_of},
};

/// `issuers`: each with its keys, if they could be read.
pub(super) async fn probe(token: &str, issuers: &[(&TrustedIssuer, Option<KeySet>)], journal: &mut Journal) {
    let read = async {
        let example = Example::read(token).map_err(|fault| {
            refused(&fault, "a token as it stands in MLFLOW_TRACKING_TOKEN: three parts in base64url")
        })?;
        let named = issuers.iter().find(|(issuer, _)| issuer.settings.issuer == example.issuer());
        let (issuer, keys) = named.ok_or_else(|| other_issuer(example.issuer(), issuers))?;
        let found = format!("it is of {}", start_of(example.issuer().as_bytes()));
        Ok(((example, *issuer, keys.as_ref()), found))
    };
    let Some((example, issuer, keys)) = journal.check("token.issuer", read).await else { return };
    journal.check("token.algorithm", async { algorithm(&example, issuer) }).await;
    match keys {
        Some(keys) => drop(journal.check("token.signature", async { signature(&example, keys) }).await),
        None => journal.skip("token.signature", "the keys of its issuer are not there"),
    }
    journal.check("token.audience", async { audience(&example, issuer) }).await;
    journal.check("token.time", async { time(&example, issuer) }).await;
    journal.check("token.rule", async { rule(&example, issuer) }).await;
}

fn refused(fault: &TokenFault, fix: &str) -> Fault {
    let cause = "the gateway refuses such a token with a 401";
    Fault::new(Code::KeyRejected, format!("the token: {fault}"), cause, fix)
}

fn other_issuer(named: &str, issuers: &[(&TrustedIssuer, Option<KeySet>)]) -> Fault {
    let known: Vec<_> = issuers.iter().map(|(issuer, _)| issuer.settings.issuer.as_str()).collect();
    let bare = |issuer: &str| issuer.trim_end_matches('/').to_owned();
    let cause = match known.iter().find(|known| bare(known) == bare(named)) {
        Some(known) => format!("auth.issuers has {known}: a slash at the end counts"),
        None if known.is_empty() => "auth.issuers is not set".to_owned(),
        None => format!("auth.issuers has {}; the token goes where keys go", known.join(" and ")),
    };
    let named = start_of(named.as_bytes());
    let fix = format!("[[auth.issuers]] with issuer = \"{named}\", if it is to be one");
    Fault::new(Code::KeyRejected, format!("the token names the issuer {named}"), cause, fix)
}

fn algorithm(example: &Example<'_>, TrustedIssuer { settings, .. }: &TrustedIssuer) -> Finding {
    let algorithm = example.algorithm();
    if example.has_algorithm_of(settings) {
        return passed(format!("it is signed with {algorithm}"));
    }
    let pinned: Vec<_> = settings.algorithms.iter().map(|pinned| pinned.word()).collect();
    Err(Fault::new(
        Code::KeyRejected,
        format!("the token is signed with {algorithm}"),
        format!("algorithms in auth.issuers has {} only", pinned.join(", ")),
        format!(
            "{algorithm} there, if the issuer signs so; a secret that both sides have (HS256) is never taken"
        ),
    ))
}

fn signature(example: &Example<'_>, keys: &KeySet) -> Finding {
    let id = example.key_id().map_or_else(|| "without a kid".to_owned(), |id| start_of(id.as_bytes()));
    match example.is_signed_by(keys) {
        Ok(()) => passed(format!("it is good, by the key {id}")),
        Err(TokenFault::UnknownKey) => Err(Fault::new(
            Code::KeyRejected,
            format!("the issuer publishes no key {id} for the token"),
            "the token is old, and its key was withdrawn; or another issuer of the same name signed it; or none of several keys is named",
            "a new token",
        )),
        Err(_) => Err(Fault::new(
            Code::KeyRejected,
            format!("the token's signature is not by the key {id}"),
            "the token was changed or cut off, or another issuer of the same name signed it",
            "a new token, copied whole",
        )),
    }
}

fn audience(example: &Example<'_>, TrustedIssuer { settings, .. }: &TrustedIssuer) -> Finding {
    let named = example.audience().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let named = start_of(named.as_bytes());
    if example.is_for(settings) {
        return passed(format!("it is for {named}"));
    }
    Err(Fault::new(
        Code::KeyRejected,
        format!("the token is for {named} (`aud`)"),
        format!("audience in auth.issuers is {}", settings.audiences.join(", ")),
        "ask the issuer for a token of that audience; or set audience to the token's, if it is this gateway's alone",
    ))
}

fn time(example: &Example<'_>, TrustedIssuer { settings, .. }: &TrustedIssuer) -> Finding {
    match example.end(settings) {
        Ok(end) => passed(format!("it is in force until {end}")),
        Err(fault @ TokenFault::Expired(_)) => Err(refused(&fault, "a new token")),
        Err(fault @ TokenFault::NotYet) => {
            let fix = format!(
                "the right time on both machines: it is {} here; or a longer leeway",
                Timestamp::now()
            );
            Err(refused(&fault, &fix))
        }
        Err(fault) => Err(refused(
            &fault,
            "a token with `exp`, a time in seconds, and `sub`, a text of 255 bytes at most",
        )),
    }
}

fn rule(example: &Example<'_>, issuer: &TrustedIssuer) -> Finding {
    match example.rule(issuer) {
        Ok((number, user)) => {
            passed(format!("rule {number} fits it; the user is {}", start_of(user.as_bytes())))
        }
        Err(missing) => Err(Fault::new(
            Code::KeyRejected,
            start_of(missing.to_string().as_bytes()),
            "its claims fit no rule, or give no user: the gateway answers 403 no_rule",
            "a rule for it in auth.issuers, if it is to have access; `user` of claims that it has",
        )),
    }
}
