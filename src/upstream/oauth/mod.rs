//! What regate says to an upstream's authorization server, and what it takes from it: OAuth 2.1, authorization code
//! with PKCE (RFC 7636, S256 alone), refresh tokens.
//!
//! **Must never know:** the store, whose credential it is.
//!
//! INVARIANT: no error holds a text of the server's, a code, a verifier, a token or a client secret.

mod answer;
mod endpoint;

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, TokenUrl,
    basic::BasicClient,
};
use reqwest::{Client, redirect};
use zeroize::Zeroizing;

pub use self::{
    answer::{NoAnswer, OauthError, Refusal, Tokens},
    endpoint::{Loopback, check_endpoint},
};
use self::{
    answer::{is_error, no_answer, taken},
    endpoint::NO_URL,
};
use crate::{
    store::upstreams::OauthSettings,
    types::{SecretText, causes},
};

/// How long an answer may take, all of it, and how long until there is a connection.
const ANSWER_TIME: Duration = Duration::from_secs(10);
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// More bytes are no answer.
const MOST_BYTES: usize = 64 * 1024;

/// Speaks to authorization servers.
pub struct OauthClient {
    /// Why there is none, on a system without certificates: one that needs none need not have any.
    anywhere: Result<Client, String>,
    this_machine: Result<Client, String>,
    loopback: Loopback,
}

impl OauthClient {
    /// One that speaks to servers on this machine if it may.
    pub fn new(loopback: Loopback) -> Self {
        Self::patient_for(ANSWER_TIME, loopback)
    }

    /// One that waits so long for an answer.
    fn patient_for(time: Duration, loopback: Loopback) -> Self {
        let builder = || {
            Client::builder()
                .timeout(time)
                .connect_timeout(CONNECT_TIME.min(time))
                .user_agent(concat!("regate/", env!("CARGO_PKG_VERSION")))
                .referer(false)
                .pool_max_idle_per_host(0)
                // A redirect would carry the code, or the client secret, to somewhere else.
                .redirect(redirect::Policy::none())
        };
        let why = |error: reqwest::Error| causes(&error.without_url()).join(": ");
        Self {
            // A proxy that the environment names sees where a connection goes, and nothing of what it carries.
            anywhere: builder().https_only(true).build().map_err(why),
            this_machine: builder().tls_certs_only([]).no_proxy().build().map_err(why),
            loopback,
        }
    }

    /// Makes a token of a code.
    ///
    /// # Errors
    /// [`OauthError`].
    pub async fn exchange(
        &self,
        settings: &OauthSettings,
        client_secret: Option<&SecretText>,
        code: &SecretText,
        verifier: &SecretText,
        redirect_uri: &str,
    ) -> Result<Tokens, OauthError> {
        let client = token_client(settings, client_secret, self.loopback)?
            .set_redirect_uri(redirect_url(redirect_uri)?);
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
        if let Some(resource) = &settings.resource {
            request = request.add_extra_param("resource", resource);
        }
        taken(request.request_async(self).await)
    }

    /// Makes a token of a refresh token.
    ///
    /// # Errors
    /// [`OauthError`].
    pub async fn refresh(
        &self,
        settings: &OauthSettings,
        client_secret: Option<&SecretText>,
        refresh_token: &SecretText,
    ) -> Result<Tokens, OauthError> {
        let client = token_client(settings, client_secret, self.loopback)?;
        let refresh_token = RefreshToken::new(refresh_token.expose().to_owned());
        let mut request = client.exchange_refresh_token(&refresh_token);
        if let Some(resource) = &settings.resource {
            request = request.add_extra_param("resource", resource);
        }
        taken(request.request_async(self).await)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OauthError> {
        // The code, the verifier and the refresh token are in it: it is wiped when it was sent.
        let request = request.map(|body| Bytes::from_owner(Zeroizing::new(body)));
        let mut request = reqwest::Request::try_from(request).map_err(|error| no_answer(&error))?;
        if let Some(authorization) = request.headers_mut().get_mut("authorization") {
            authorization.set_sensitive(true);
        }
        let client = if request.url().scheme() == "https" { &self.anywhere } else { &self.this_machine };
        let client = client.as_ref().map_err(|why| OauthError::Unreachable(NoAnswer::Client(why.clone())))?;
        let mut answer = client.execute(request).await.map_err(|error| no_answer(&error))?;
        let status = answer.status();
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            return Err(OauthError::Unreachable(NoAnswer::Status(status.as_u16())));
        }
        if status.is_redirection() {
            return Err(OauthError::Unusable("its answer leads elsewhere, which is not followed"));
        }
        // With room for all of it: what grows leaves copies behind.
        let mut body = Vec::with_capacity(MOST_BYTES);
        while let Some(part) = answer.chunk().await.map_err(|error| no_answer(&error))? {
            if body.len() + part.len() > MOST_BYTES {
                return Err(OauthError::Unusable("its answer has more than 64 KiB"));
            }
            body.extend_from_slice(&part);
        }
        let is_error = is_error(&body);
        if status.is_client_error() && !is_error {
            return Err(OauthError::Refused(Refusal::Other));
        }
        let mut response = HttpResponse::new(body);
        if let Some(form) = answer.headers().get("content-type") {
            response.headers_mut().insert("content-type", form.clone());
        }
        *response.status_mut() = if is_error { reqwest::StatusCode::BAD_REQUEST } else { status };
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for OauthClient {
    type Error = OauthError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OauthError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Where a person consents.
///
/// # Errors
/// [`OauthError::Settings`].
pub fn authorization_url(
    settings: &OauthSettings,
    redirect_uri: &str,
    state: &SecretText,
    verifier: &SecretText,
    loopback: Loopback,
) -> Result<String, OauthError> {
    check_endpoint(&settings.authorization_endpoint, loopback)?;
    let endpoint = AuthUrl::new(settings.authorization_endpoint.clone());
    let client = BasicClient::new(ClientId::new(settings.client_id.clone()))
        .set_auth_uri(endpoint.map_err(|_| OauthError::Settings(NO_URL))?)
        .set_redirect_uri(redirect_url(redirect_uri)?);
    let verifier = PkceCodeVerifier::new(verifier.expose().to_owned());
    let mut request = client
        .authorize_url(|| CsrfToken::new(state.expose().to_owned()))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .add_scopes(settings.scopes.iter().cloned().map(Scope::new));
    if let Some(resource) = &settings.resource {
        request = request.add_extra_param("resource", resource);
    }
    Ok(request.url().0.into())
}

type TokenClient = BasicClient<
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
>;

/// Shows the client secret by HTTP Basic; a client without one is public, and names itself in the body.
fn token_client(
    settings: &OauthSettings,
    client_secret: Option<&SecretText>,
    loopback: Loopback,
) -> Result<TokenClient, OauthError> {
    check_endpoint(&settings.token_endpoint, loopback)?;
    let endpoint = TokenUrl::new(settings.token_endpoint.clone());
    let client = BasicClient::new(ClientId::new(settings.client_id.clone()))
        .set_token_uri(endpoint.map_err(|_| OauthError::Settings(NO_URL))?);
    Ok(match client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
    })
}

fn redirect_url(uri: &str) -> Result<RedirectUrl, OauthError> {
    RedirectUrl::new(uri.to_owned()).map_err(|_| OauthError::Settings("the redirect URI is no URL"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::{Loopback, OauthClient, OauthError, authorization_url};
    use crate::{store::upstreams::OauthSettings, types::SecretText};

    fn settings(endpoint: &str) -> OauthSettings {
        OauthSettings {
            authorization_endpoint: endpoint.to_owned(),
            token_endpoint: endpoint.to_owned(),
            client_id: "regate".to_owned(),
            scopes: vec!["read".to_owned(), "write all".to_owned()],
            resource: Some("https://mcp.example/a?b".to_owned()),
            issuer: None,
        }
    }

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.to_owned())
    }

    #[test]
    fn a_person_is_sent_with_all_that_the_server_has_to_know() {
        let back = "https://regate.example/back";
        // The verifier and its challenge are those of RFC 7636, appendix B.
        let verifier = secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let url = authorization_url(
            &settings("https://login.example/go?x=1"),
            back,
            &secret("s"),
            &verifier,
            Loopback::Refused,
        );
        assert_eq!(
            url.unwrap(),
            "https://login.example/go?x=1&response_type=code&client_id=regate&state=s\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
             &redirect_uri=https%3A%2F%2Fregate.example%2Fback&scope=read+write+all\
             &resource=https%3A%2F%2Fmcp.example%2Fa%3Fb"
        );
        for wrong in ["http://login.example/go", "login"] {
            let url = authorization_url(&settings(wrong), back, &secret("s"), &verifier, Loopback::Refused);
            assert!(matches!(url, Err(OauthError::Settings(_))), "{url:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings(&format!("http://{}/token", silent.local_addr().unwrap()));
        let client = OauthClient::patient_for(Duration::from_millis(50), Loopback::Allowed);
        let error = client.refresh(&settings, None, &secret("hunter2")).await.unwrap_err();
        assert!(matches!(error, OauthError::Unreachable(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn nothing_is_sent_where_others_could_read_it() {
        for (endpoint, loopback) in [
            ("http://login.example/token", Loopback::Allowed),
            ("http://127.0.0.1:9/token", Loopback::Refused),
            ("https://[::ffff:127.0.0.1]:9/token", Loopback::Refused),
        ] {
            let error = OauthClient::new(loopback).refresh(&settings(endpoint), None, &secret("x")).await;
            assert!(matches!(error, Err(OauthError::Settings(_))), "{error:?}");
        }
    }
}
