//! `[[auth.issuers]]`: whose tokens are credentials, as API keys are.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, time::Duration};

use config::Value;
use secrecy::SecretString;
use url::{Host, Url};

use super::{
    Scope,
    reader::{Noted, Reader},
    tls::ClientTls,
    value::{OrZero, section, words},
};
use crate::code::Code;

/// An issuer of JSON Web Tokens (RFC 7519), and what its tokens may do.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// As its tokens name it in `iss`, to the letter.
    pub issuer: String,
    /// Whom a token must be for (`aud`): one of these.
    pub audiences: Vec<String>,
    /// Where its keys are; `None`: where its discovery document says.
    pub jwks_url: Option<Url>,
    /// How its tokens may be signed.
    pub algorithms: Vec<TokenAlgorithm>,
    /// How far its clock may be from ours.
    pub leeway: Duration,
    /// The user: a text with names of claims in braces.
    pub user: String,
    pub tls: ClientTls,
    /// How people log in by it; `None`: they cannot.
    pub login: Option<IssuerLogin>,
    /// The first one that fits a token decides.
    pub rules: Vec<IssuerRule>,
}

/// The gateway as a client of the issuer's, for people (OpenID Connect Core 1.0 §3.1).
#[derive(Debug, Clone)]
pub struct IssuerLogin {
    pub client_id: String,
    /// `None`: a public client, by PKCE alone.
    pub client_secret: Option<SecretString>,
    /// What the button on the login page says.
    pub name: String,
    /// Asked for beside `openid`.
    pub scopes: Vec<String>,
}

/// What tokens with certain claims may do.
#[derive(Debug, Clone)]
pub struct IssuerRule {
    /// Patterns for each claim; one of them must fit its text, or an item of its list.
    pub when: BTreeMap<String, Vec<String>>,
    pub scopes: Vec<Scope>,
    pub workspace: Option<String>,
    /// `None`: any.
    pub models: Option<Vec<String>>,
    pub experiments: Option<Vec<String>>,
    /// `None`: the settings' number. So of the two below.
    pub rate_limit_per_hour: Option<NonZeroU32>,
    pub concurrent: Option<NonZeroU32>,
    pub creates_per_hour: Option<NonZeroU32>,
}

words! {
    /// How a token may be signed (RFC 7518 §3.1, RFC 8037). Never with a secret that both sides have, and never not at all.
    pub enum TokenAlgorithm {
        Rs256 = "RS256",
        Rs384 = "RS384",
        Rs512 = "RS512",
        Ps256 = "PS256",
        Ps384 = "PS384",
        Ps512 = "PS512",
        Es256 = "ES256",
        Es384 = "ES384",
        EdDsa = "EdDSA",
    }
}

/// Where a token's issuer is asked for by people; what every provider of OpenID Connect knows.
const LOGIN_SCOPES: [&str; 2] = ["profile", "email"];
/// What most issuers sign with.
const ALGORITHMS: [TokenAlgorithm; 1] = [TokenAlgorithm::Rs256];
const LEEWAY: Duration = Duration::from_secs(30);
/// More would make a token good that has long ended.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

impl Issuer {
    pub(super) fn read_all(reader: &mut Reader) -> Result<Vec<Self>, Noted> {
        let issuers = reader.tables("auth.issuers", issuer_of, Self::read)?;
        for (number, issuer) in issuers.iter().enumerate() {
            if issuers[..number].iter().any(|earlier| earlier.issuer == issuer.issuer) {
                let key = issuer.key_of("issuer", number + 1);
                let fix = "one table for each issuer, with all its rules";
                return Err(reader.problem(Code::DuplicateSetting, &key, "has a table already", fix));
            }
        }
        Ok(issuers)
    }

    /// What a setting of the table with this number is called in problems.
    pub(super) fn key_of(&self, setting: &str, number: usize) -> String {
        format!("auth.issuers[{}].{setting}", label(&self.issuer).unwrap_or_else(|| number.to_string()))
    }

    fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            issuer: issuer(reader),
            audiences: reader.required_list("audience"),
            jwks_url: jwks_url(reader),
            algorithms: reader.list("algorithms").map(|words| or(words, &ALGORITHMS)),
            leeway: leeway(reader),
            user: reader.optional("user").map(|user| user.unwrap_or_else(|| "{sub}".to_owned())),
            tls: reader.optional::<PathBuf>("tls.ca").map(|ca| ClientTls { ca, identity: None }),
            login: IssuerLogin::read(reader),
            rules: rules(reader),
        })
    }
}

/// What a table is called in problems.
fn issuer_of(values: &BTreeMap<String, Value>) -> Option<String> {
    label(&values.get("issuer")?.clone().into_string().ok()?)
}

/// An address that may stand in a message: without a password.
fn label(issuer: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_~%".contains(&byte);
    (issuer.len() <= 200 && issuer.starts_with("http") && issuer.bytes().all(is_plain))
        .then(|| issuer.to_owned())
}

fn issuer(reader: &mut Reader) -> Result<String, Noted> {
    let issuer: String = reader.value("issuer")?;
    let url = reader.value_of::<Url>("issuer", &issuer)?;
    must_be_private(reader, "issuer", &url)?;
    // Tokens are compared with it to the letter, and `ISSUER|SUB` is what they are revoked by.
    if issuer.contains(|char: char| char == '|' || char.is_whitespace() || char.is_control()) {
        let what = "has white space or a `|` in it: no issuer calls itself so";
        return Err(reader.problem(
            Code::InvalidValue,
            "issuer",
            what,
            "its address, as its tokens have it in iss",
        ));
    }
    Ok(issuer)
}

fn jwks_url(reader: &mut Reader) -> Result<Option<Url>, Noted> {
    let url = reader.optional::<Url>("jwks_url")?;
    url.map(|url| must_be_private(reader, "jwks_url", &url).map(|()| url)).transpose()
}

/// Whoever can change an answer on its way could sign tokens.
fn must_be_private(reader: &mut Reader, key: &str, url: &Url) -> Result<(), Noted> {
    if url.scheme() == "https" || is_here(url) {
        return Ok(());
    }
    let (what, fix) =
        ("is not https: others on the way could put keys of their own there", "an https address");
    Err(reader.problem(Code::InvalidValue, key, what, fix))
}

/// Whether nobody else is on the way.
pub(crate) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn leeway(reader: &mut Reader) -> Result<Duration, Noted> {
    let leeway = reader.optional::<OrZero>("leeway")?.map_or(LEEWAY, |leeway| leeway.0);
    if leeway > MAX_LEEWAY {
        let what = "is longer than 5m: a token could be used for that long after its end";
        return Err(reader.problem(Code::InvalidValue, "leeway", what, "5m or less"));
    }
    Ok(leeway)
}

fn rules(reader: &mut Reader) -> Result<Vec<IssuerRule>, Noted> {
    let rules = reader.tables("rules", |_| None, IssuerRule::read)?;
    if rules.is_empty() {
        let what = "is not set: without a rule no token may do anything";
        let fix = "[[auth.issuers.rules]] with when = { … } and scopes = [ … ]";
        return Err(reader.problem(Code::MissingSetting, "rules", what, fix));
    }
    Ok(rules)
}

impl IssuerRule {
    fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let when = reader.table_of_texts("when");
        if when.is_empty() {
            let what = "is not set: the rule would fit everybody to whom the issuer gives tokens";
            let fix = "when = { CLAIM = \"PATTERN\" }; { sub = \"*\" } is everybody";
            reader.problem(Code::MissingSetting, "when", what, fix);
        }
        section!(Self {
            when: Ok(when),
            scopes: reader.list("scopes"),
            workspace: reader.optional("workspace"),
            models: fence(reader, "models"),
            experiments: fence(reader, "experiments"),
            rate_limit_per_hour: reader.optional("rate_limit_per_hour"),
            concurrent: reader.optional("concurrent"),
            creates_per_hour: reader.optional("creates_per_hour"),
        })
    }
}

/// An empty list is a fence with nothing in it.
fn fence(reader: &mut Reader, key: &'static str) -> Result<Option<Vec<String>>, Noted> {
    let is_set = reader.has(key);
    reader.list(key).map(|patterns| is_set.then_some(patterns))
}

impl IssuerLogin {
    fn read(reader: &mut Reader) -> Result<Option<Self>, Noted> {
        let client_id = reader.optional::<String>("client_id");
        let client_secret = reader.secret("client_secret", "client_secret_file");
        let name = reader.optional::<String>("name");
        let scopes = reader.list::<String>("login_scopes");
        let (client_id, client_secret, name, scopes) = (client_id?, client_secret?, name?, scopes?);
        let Some(client_id) = client_id else {
            if client_secret.is_some() {
                let what = "is not set, but client_secret is";
                return Err(reader.problem(Code::MissingSetting, "client_id", what, "the id of both"));
            }
            return Ok(None);
        };
        let scopes = or(scopes, &LOGIN_SCOPES.map(str::to_owned));
        Ok(Some(Self {
            client_id,
            client_secret,
            name: name.unwrap_or_else(|| "Single sign-on".to_owned()),
            scopes,
        }))
    }
}

fn or<T: Clone>(list: Vec<T>, default: &[T]) -> Vec<T> {
    if list.is_empty() { default.to_vec() } else { list }
}
