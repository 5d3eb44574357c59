//! Consent flows: somebody is asked for a credential, and gives it once.
//!
//! INVARIANT: a flow that was taken is never free again, whatever becomes of it. What is wrong with what was given is
//! found before it is taken.

use std::time::Duration;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    Begun, Completion, CredentialError, Credentials, KeyRing, OauthError, authorization_url, check_endpoint,
    credentials::{Checked, check_given, header_of},
};
use crate::{
    store::{
        StoreError,
        upstreams::{
            BegunBy, CredentialForm, CredentialKey, CredentialWritten, FlowEnd, FlowRow, NewCredential,
            NewFlow, OauthSettings, UpstreamRow,
        },
    },
    types::{Sealed, SealedFor, SecretText, TenantId, Timestamp, TokenHash, UpstreamSecret},
};

/// How long a flow can be completed (systems.md B11).
const FLOW_TIME: Duration = Duration::from_secs(15 * 60);
/// Bytes that nobody can guess.
const RANDOM_BYTES: usize = 32;
/// The place of the upstream's id in a redirect URI.
const PLACE: &str = "{upstream}";
/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl From<OauthError> for CredentialError {
    fn from(error: OauthError) -> Self {
        match error {
            OauthError::Settings(problem) => Self::Unsuitable(problem),
            OauthError::Unreachable(_) => Self::Unreachable,
            other => Self::NotExchanged(other.to_string()),
        }
    }
}

/// What an exchange needs, all there before the flow is taken.
struct Exchange {
    oauth: OauthSettings,
    client_secret: Option<SecretText>,
    code: SecretText,
    verifier: SecretText,
    redirect_uri: String,
}

/// What a flow is completed with, checked.
enum Ready {
    Given { sealed: Sealed, form: CredentialForm, header_names: Vec<String> },
    Exchange(Box<Exchange>),
}

impl Credentials {
    /// Begins a flow.
    ///
    /// # Errors
    /// [`CredentialError`]; [`CredentialError::Unsuitable`] when `redirect_uri` is there and nobody consents at this
    /// upstream, or the other way round, or people may not be sent back there.
    pub async fn begin(
        &self,
        key: &CredentialKey,
        begun_by: BegunBy,
        redirect_uri: Option<String>,
        now: Timestamp,
    ) -> Result<Begun, CredentialError> {
        let keys = self.keys()?;
        let upstream = self.store.upstream(&key.tenant, &key.upstream_id).await?.value;
        let mut flow = NewFlow {
            id: random_text(&mut *self.random()).expose().to_owned(),
            key: key.clone(),
            begun_by,
            state_sha256: None,
            verifier: None,
            redirect_uri: None,
            created_at: now,
            expires_at: now.later_by(FLOW_TIME),
        };
        let consented_at = upstream.oauth.clone();
        let (authorization_url, header_names) = match &upstream.oauth {
            Some(oauth) => {
                let url = self.ask_for_consent(keys, &upstream, oauth, &mut flow, redirect_uri)?;
                (Some(url), Vec::new())
            }
            None if redirect_uri.is_some() => {
                return Err(CredentialError::Unsuitable(
                    "nobody consents at this upstream: there is nowhere to be sent back from",
                ));
            }
            None => (None, upstream.value_headers.unwrap_or_default()),
        };
        self.store.begin_flow(&flow).await?;
        // A change from here on takes the flow away. With one before it, the code of the one place would be shown to
        // the other.
        if authorization_url.is_some() {
            let now_there = self.store.upstream(&key.tenant, &key.upstream_id).await?.value;
            if now_there.oauth != consented_at {
                self.store.remove_flow(&key.tenant, &flow.id).await?;
                return Err(CredentialError::Unsuitable(
                    "where people consent was changed meanwhile: begin anew",
                ));
            }
        }
        let flow = self.store.flow(&key.tenant, &flow.id).await?;
        Ok(Begun { flow, authorization_url, header_names })
    }

    /// Makes the flow one through the authorization server, and gives where the person consents.
    fn ask_for_consent(
        &self,
        keys: &KeyRing,
        upstream: &UpstreamRow,
        oauth: &OauthSettings,
        flow: &mut NewFlow,
        redirect_uri: Option<String>,
    ) -> Result<String, CredentialError> {
        if upstream.value_headers.is_some() {
            return Err(CredentialError::Unsuitable(
                "the upstream wants values of headers, which no consent gives",
            ));
        }
        let redirect_uri = self.redirect_uri(&upstream.id, redirect_uri)?;
        // Where the code goes is known to be good before anybody consents.
        check_endpoint(&oauth.token_endpoint, self.settings.loopback)?;
        let mut random = self.random();
        let (state, verifier) = (random_text(&mut *random), random_text(&mut *random));
        let url = authorization_url(oauth, &redirect_uri, &state, &verifier, self.settings.loopback)?;
        let place = SealedFor::CodeVerifier { tenant: &flow.key.tenant, flow_id: &flow.id };
        flow.verifier = Some(keys.seal(place, verifier.expose().as_bytes(), &mut *random));
        flow.state_sha256 = Some(sha256(&state));
        flow.redirect_uri = Some(redirect_uri);
        Ok(url)
    }

    fn redirect_uri(&self, upstream_id: &str, wanted: Option<String>) -> Result<String, CredentialError> {
        let id = utf8_percent_encode(upstream_id, RESERVED).to_string();
        // Programs take such a part out of a path, and what is before it.
        let leads_up = matches!(upstream_id, "." | "..");
        let templates = self.settings.redirect_uris.iter();
        let templates = templates.filter(|template| !(leads_up && template.contains(PLACE)));
        let allowed: Vec<String> = templates.map(|template| template.replace(PLACE, &id)).collect();
        match (wanted, &allowed[..]) {
            (_, []) => Err(CredentialError::Unsuitable(
                "regate knows no address to send people back to: set `[credentials] redirect_uris`",
            )),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(CredentialError::Unsuitable(
                "redirect_uri is missing: which of `[credentials] redirect_uris` is it?",
            )),
            (Some(wanted), _) if allowed.contains(&wanted) => Ok(wanted),
            (Some(_), _) => {
                Err(CredentialError::Unsuitable("redirect_uri is none of `[credentials] redirect_uris`"))
            }
        }
    }

    /// Completes a flow, once.
    ///
    /// # Errors
    /// [`CredentialError`]. What is wrong with what was given leaves the flow as it is; a code that was not taken ends
    /// it.
    ///
    /// Once a code was shown to its server the rest goes on, also when the caller is gone: the code is good for once.
    pub async fn complete(
        self: &Arc<Self>,
        tenant: &TenantId,
        flow_id: &str,
        by: &BegunBy,
        with: Completion,
        now: Timestamp,
    ) -> Result<(CredentialKey, CredentialWritten), CredentialError> {
        let flow = self.store.flow(tenant, flow_id).await?;
        // First: to everybody else there is nothing to be known of it.
        if flow.flow.begun_by != *by {
            return Err(CredentialError::NotTheBeginner);
        }
        if flow.flow.expires_at <= now {
            return Err(StoreError::FlowOver(FlowEnd::Expired).into());
        }
        if flow.taken {
            return Err(StoreError::FlowOver(FlowEnd::Taken).into());
        }
        let keys = self.keys()?;
        let upstream = self.store.upstream(tenant, &flow.flow.key.upstream_id).await?.value;
        let ready = self.prepare(keys, &upstream, &flow, with).await?;

        let turn = match &ready {
            Ready::Given { .. } => None,
            Ready::Exchange(_) => Some(self.turns.turn(tenant).await.ok_or(CredentialError::Busy)?),
        };
        let (own, flow_id) = (Arc::clone(self), flow_id.to_owned());
        let completing = tokio::spawn(async move {
            let _turn = turn;
            own.end(&upstream, &flow_id, ready, now).await
        });
        completing.await.unwrap_or(Err(CredentialError::Ending))
    }

    /// Takes the flow and ends it with what was checked.
    async fn end(
        &self,
        upstream: &UpstreamRow,
        flow_id: &str,
        ready: Ready,
        now: Timestamp,
    ) -> Result<(CredentialKey, CredentialWritten), CredentialError> {
        let key = self.store.take_flow(&upstream.tenant, flow_id, now).await?.flow.key;
        let credential = match ready {
            Ready::Given { sealed, form, header_names } => {
                NewCredential { key, sealed, refresh: None, form, header_names, expires_at: None, now }
            }
            Ready::Exchange(exchange) => self.exchange(self.keys()?, upstream, key, *exchange, now).await?,
        };
        let written = self.store.complete_flow(flow_id, &credential).await?;
        Ok((credential.key, written))
    }

    /// Checks all that can be checked before the flow is taken.
    async fn prepare(
        &self,
        keys: &KeyRing,
        upstream: &UpstreamRow,
        flow: &FlowRow,
        with: Completion,
    ) -> Result<Ready, CredentialError> {
        let flow = &flow.flow;
        let (code, state, iss, expected) = match (with, &flow.state_sha256) {
            (Completion::Given(given), None) => {
                let Checked { secret, form, header_names } = check_given(upstream, given)?;
                let sealed = self.seal_credential(keys, &flow.key, &secret);
                return Ok(Ready::Given { sealed, form, header_names });
            }
            (Completion::Given(_), Some(_)) => {
                return Err(CredentialError::Unsuitable(
                    "this flow is completed with the code and the state of the authorization server",
                ));
            }
            (Completion::Code { .. }, None) => {
                return Err(CredentialError::Unsuitable("this flow is completed with a credential"));
            }
            (Completion::Code { code, state, iss }, Some(expected)) => (code, state, iss, expected),
        };
        // Of hashes: how far they agree tells nothing of the state.
        if sha256(&state) != *expected {
            return Err(CredentialError::WrongState);
        }
        let gone = CredentialError::Unsuitable("nobody consents at this upstream any more: begin anew");
        let (Some(oauth), None) = (&upstream.oauth, &upstream.value_headers) else { return Err(gone) };
        // Whoever runs another server that people are sent to must not have this one's codes exchanged, or theirs.
        if oauth.issuer.is_some() && iss != oauth.issuer {
            return Err(CredentialError::WrongIssuer);
        }
        let (Some(verifier), Some(redirect_uri)) = (&flow.verifier, &flow.redirect_uri) else {
            return Err(gone);
        };
        check_endpoint(&oauth.token_endpoint, self.settings.loopback)?;
        let tenant = &flow.key.tenant;
        let place = SealedFor::CodeVerifier { tenant, flow_id: &flow.id };
        let verifier = open(keys, place, verifier, "the flow's own proof")?;
        let client_secret = match self.store.client_secret(tenant, &upstream.id).await? {
            Some(sealed) => {
                let place = SealedFor::ClientSecret { tenant, upstream_id: &upstream.id };
                Some(open(keys, place, &sealed, "regate's client secret there")?)
            }
            None => None,
        };
        let (oauth, redirect_uri) = (oauth.clone(), redirect_uri.clone());
        Ok(Ready::Exchange(Box::new(Exchange { oauth, client_secret, code, verifier, redirect_uri })))
    }

    async fn exchange(
        &self,
        keys: &KeyRing,
        upstream: &UpstreamRow,
        key: CredentialKey,
        exchange: Exchange,
        now: Timestamp,
    ) -> Result<NewCredential, CredentialError> {
        let Exchange { oauth, client_secret, code, verifier, redirect_uri } = exchange;
        let exchanging = self.oauth.exchange(&oauth, client_secret.as_ref(), &code, &verifier, &redirect_uri);
        let tokens = exchanging.await.inspect_err(|error| {
            if let OauthError::Unreachable(why) = error {
                let (tenant, upstream) = (&key.tenant, &key.upstream_id);
                tracing::warn!(%tenant, upstream, %why, "a code cannot be exchanged: the authorization server cannot be reached");
            }
        })?;
        let refresh = tokens.refresh.map(|refresh| {
            let place = SealedFor::refresh_token(&key.tenant, &key.upstream_id, &key.holder);
            keys.seal(place, refresh.expose().as_bytes(), &mut *self.random())
        });
        let sealed = self.seal_credential(keys, &key, &UpstreamSecret::Token(tokens.access));
        let expires_at = tokens.expires_in.map(|time| now.later_by(time));
        let (form, header_names) = (CredentialForm::Token, header_of(upstream));
        Ok(NewCredential { key, sealed, refresh, form, header_names, expires_at, now })
    }
}

/// Opens a text that was sealed, called `what` where it does not open.
fn open(
    keys: &KeyRing,
    place: SealedFor<'_>,
    sealed: &Sealed,
    what: &str,
) -> Result<SecretText, CredentialError> {
    let text = keys.unseal_text(place, sealed);
    text.map_err(|why| CredentialError::NotExchanged(format!("{what} does not open: {why}")))
}

/// A text that nobody can guess.
fn random_text(random: &mut impl CryptoRng) -> SecretText {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    random.fill_bytes(&mut *bytes);
    SecretText::new(URL_SAFE_NO_PAD.encode(*bytes))
}

fn sha256(text: &SecretText) -> TokenHash {
    TokenHash(Sha256::digest(text.expose()).into())
}
