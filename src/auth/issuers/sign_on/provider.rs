//! An issuer as a provider of OpenID Connect: where it logs people in and out, and what it gives for a code (OpenID Connect Core 1.0
//! §3.1, by openidconnect). Its tokens are verified where those of machines are.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndSessionUrl, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, LogoutRequest, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, StandardErrorResponse, TokenResponse as _,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreTokenResponse,
    },
};
use parking_lot::Mutex;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::relay::relay;
use crate::{
    auth::issuers::{TrustedIssuer, ask, discovery, fault::KeysFault},
    flight::Flights,
    http_client::Tls,
    outage_log::OutageLog,
    session::{Attempt, Destination},
    settings::IssuerLogin,
};

/// How long a discovery document is used.
const FRESH: Duration = Duration::from_secs(3600);
/// The time between two questions for it while there is none, or no newer one.
const PAUSE: Duration = Duration::from_secs(10);

/// Characters of an issuer's error that are told.
const LONGEST_ERROR: usize = 40;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The gateway as a client of an issuer's.
#[derive(Debug)]
pub(in crate::auth::issuers) struct Provider {
    pub(super) login: IssuerLogin,
    known: Mutex<Known>,
    flights: Arc<Flights<(), ()>>,
    pub(super) outage_log: OutageLog,
}

#[derive(Debug, Default)]
struct Known {
    endpoints: Option<Arc<Endpoints>>,
    fault: Option<KeysFault>,
    asked: Option<Instant>,
}

/// What an issuer's discovery document says.
pub(super) struct Endpoints {
    client: Client,
    logout: Option<EndSessionUrl>,
    /// Whether its answers always say whose they are.
    pub(super) names_itself: bool,
}

#[derive(Deserialize)]
struct Answering {
    #[serde(default)]
    authorization_response_iss_parameter_supported: Value,
}

/// What an issuer gives. Both are secret.
pub(super) struct Tokens {
    pub(super) id_token: Option<String>,
    pub(super) refresh: Option<String>,
}

/// Why it gives nothing.
#[derive(Debug)]
pub(super) enum GrantFault {
    /// It says no: to this code, or to this session.
    Denied,
    Failed(KeysFault),
}

impl Provider {
    pub(in crate::auth::issuers) fn new(login: IssuerLogin) -> Self {
        let outage_log = OutageLog::new(
            "an issuer does not say whether people may go on",
            "an issuer says again whether people may go on",
        );
        Self { login, known: Mutex::default(), flights: Arc::default(), outage_log }
    }

    /// What is known of the issuer, or why nothing is.
    pub(super) async fn endpoints(&self, issuer: &Arc<TrustedIssuer>) -> Result<Arc<Endpoints>, KeysFault> {
        if self.known.lock().is_old() {
            let issuer = Arc::clone(issuer);
            self.flights.join((), || async move { issuer.discover().await }).await;
        }
        let Known { endpoints, fault, .. } = &*self.known.lock();
        endpoints.clone().ok_or_else(|| fault.clone().unwrap_or(KeysFault::NotYet))
    }
}

impl Known {
    fn is_old(&self) -> bool {
        let lifetime = if self.fault.is_some() { PAUSE } else { FRESH };
        self.asked.is_none_or(|asked| asked.elapsed() >= lifetime)
    }
}

impl TrustedIssuer {
    async fn discover(&self) {
        let Some(provider) = &self.provider else { return };
        let asked = Some(Instant::now());
        let found = Endpoints::discover(self, &provider.login).await;
        let mut known = provider.known.lock();
        match found {
            Ok(endpoints) => *known = Known { endpoints: Some(Arc::new(endpoints)), fault: None, asked },
            // An earlier document is better than none.
            Err(fault) => (known.fault, known.asked) = (Some(fault), asked),
        }
    }
}

impl Endpoints {
    async fn discover(issuer: &TrustedIssuer, login: &IssuerLogin) -> Result<Self, KeysFault> {
        let address = discovery::document_url(&issuer.settings)?;
        let body = ask::get(&address, issuer.tls.as_ref()).await?.body;
        let unusable = || KeysFault::NotJson { address: address.to_string() };
        let document: ProviderMetadataWithLogout = serde_json::from_slice(&body).map_err(|_| unusable())?;
        discovery::must_be_of(&issuer.settings, document.issuer())?;
        let answering = serde_json::from_slice::<Answering>(&body).map_err(|_| unusable())?;
        let names_itself = answering.authorization_response_iss_parameter_supported == true;
        let logout = document.additional_metadata().end_session_endpoint.clone();
        let token = document.token_endpoint().ok_or_else(unusable)?;
        let named = [document.authorization_endpoint().url(), token.url()];
        if !named.into_iter().all(|url| discovery::is_private(url, &address)) {
            return Err(unusable());
        }
        let logout = logout.filter(|logout| discovery::is_private(logout.url(), &address));
        // Without a list it is `client_secret_basic` (OpenID Connect Discovery 1.0 §3).
        let methods = document.token_endpoint_auth_methods_supported();
        let knows_basic =
            methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let secret = login.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let id = ClientId::new(login.client_id.clone());
        let client = CoreClient::from_provider_metadata(document, id, secret).set_auth_type(if knows_basic {
            AuthType::BasicAuth
        } else {
            AuthType::RequestBody
        });
        Ok(Self { client, logout, names_itself })
    }

    /// Where a login begins, and what has to be known when it ends.
    pub(super) fn begin(
        &self,
        issuer: &TrustedIssuer,
        login: &IssuerLogin,
        callback: &RedirectUrl,
        next: &Destination,
    ) -> (Url, Attempt) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let scopes = login.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
        let request = self
            .client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .set_redirect_uri(Cow::Borrowed(callback));
        let (url, state, nonce) = request.url();
        let attempt = Attempt {
            issuer: issuer.settings.issuer.clone(),
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            callback: callback.to_string(),
            next: next.as_str().to_owned(),
        };
        (url, attempt)
    }

    /// What the issuer gives for the code of a login.
    pub(super) async fn redeem(
        &self,
        tls: Option<&Tls>,
        attempt: &Attempt,
        code: String,
    ) -> Result<Tokens, GrantFault> {
        let callback = RedirectUrl::new(attempt.callback.clone()).map_err(|_| GrantFault::Denied)?;
        let request = self.client.exchange_code(AuthorizationCode::new(code)).map_err(|_| not_set())?;
        let answer = request
            .set_redirect_uri(Cow::Owned(callback))
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()))
            .request_async(&|request| relay(tls, request))
            .await;
        tokens(answer)
    }

    /// What the issuer gives for as long as a person may go on.
    pub(super) async fn refresh(&self, tls: Option<&Tls>, refresh: &str) -> Result<Tokens, GrantFault> {
        let refresh = RefreshToken::new(refresh.to_owned());
        let request = self.client.exchange_refresh_token(&refresh).map_err(|_| not_set())?;
        tokens(request.request_async(&|request| relay(tls, request)).await)
    }

    /// Where a person is logged out of the issuer, and sent back to `back`; `None`: it offers no such thing.
    pub(super) fn logout(&self, login: &IssuerLogin, back: PostLogoutRedirectUrl) -> Option<Url> {
        // Not with the token of the login, which browsers would keep in their history, and which may be a credential here.
        let request =
            LogoutRequest::from(self.logout.clone()?).set_client_id(ClientId::new(login.client_id.clone()));
        Some(request.set_post_logout_redirect_uri(back).http_get_url())
    }
}

fn not_set() -> GrantFault {
    GrantFault::Failed(KeysFault::NotYet)
}

/// Only a proper `invalid_grant` (RFC 6749 §5.2) is a no: all else is a fault of the issuer's or of the settings.
fn tokens(
    answer: Result<
        CoreTokenResponse,
        RequestTokenError<KeysFault, StandardErrorResponse<CoreErrorResponseType>>,
    >,
) -> Result<Tokens, GrantFault> {
    let fault = match answer {
        Ok(answer) => {
            return Ok(Tokens {
                id_token: answer.id_token().map(ToString::to_string),
                refresh: answer.refresh_token().map(|token| token.secret().clone()),
            });
        }
        Err(RequestTokenError::ServerResponse(answer)) => match answer.error() {
            CoreErrorResponseType::InvalidGrant => return Err(GrantFault::Denied),
            error => {
                let error = error.as_ref().chars().filter(char::is_ascii_graphic);
                KeysFault::Refused { error: error.take(LONGEST_ERROR).collect() }
            }
        },
        Err(RequestTokenError::Request(fault)) => fault,
        // Its body may have tokens in it.
        Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => KeysFault::NoTokens,
    };
    Err(GrantFault::Failed(fault))
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoints").finish_non_exhaustive()
    }
}
