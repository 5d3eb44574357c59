//! Credentials given by hand. Consent flows are in `flows`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::rngs::StdRng;
use thiserror::Error;

use super::{
    InvalidSecret, KeyRing, Loopback, OauthClient, check_secret, declared_headers, secret, turns::Turns,
};
use crate::{
    store::{
        StoreError,
        upstreams::{
            CredentialForm, CredentialKey, CredentialWritten, FlowRow, NewCredential, UpstreamRow,
            UpstreamStore,
        },
    },
    types::{Sealed, SealedFor, SecretText, TenantId, Timestamp, UpstreamSecret},
};

/// What somebody gives as a credential.
#[derive(Clone, Debug)]
pub enum Given {
    /// A token, for the place that the upstream's `format` has for it.
    Token(SecretText),
    /// Values of headers, as they were sent; undeclared ones are dropped.
    Headers(Vec<(String, SecretText)>),
}

/// How a flow is completed.
#[derive(Clone, Debug)]
pub enum Completion {
    /// With a credential.
    Given(Given),
    /// With what the authorization server sent the person back with (RFC 6749 section 4.1.2).
    Code {
        /// The code.
        code: SecretText,
        /// The state.
        state: SecretText,
        /// Who says that it answered (RFC 9207).
        iss: Option<String>,
    },
}

/// A flow that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The flow.
    pub flow: FlowRow,
    /// Where the person consents; `None` when values are given instead.
    pub authorization_url: Option<String>,
    /// The headers whose values are to be given; empty when a token is, or consent.
    pub header_names: Vec<String>,
}

/// Why a credential was not taken.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// There is no key to seal it with.
    #[error(
        "regate has no key to seal credentials with: name a file of keys, [credentials] key_file, in the configuration, \
         and the configuration with --config FILE (or set REGATE_CREDENTIALS__KEY_FILE); regate credentials new-key makes one"
    )]
    NoKey,
    /// It is none.
    #[error(transparent)]
    Invalid(#[from] InvalidSecret),
    /// The upstream's holders consent, or they do not.
    #[error("{0}")]
    Unsuitable(&'static str),
    /// The flow is somebody else's.
    #[error("only who began this flow can complete it")]
    NotTheBeginner,
    /// The state is not the one that the flow began with.
    #[error("the state is not this flow's")]
    WrongState,
    /// It came from another authorization server than the upstream's.
    #[error("iss is not the issuer that the upstream names: this code is not for its authorization server")]
    WrongIssuer,
    /// Too many codes are being exchanged.
    #[error("the authorization servers have too many codes before them")]
    Busy,
    /// The process ends.
    #[error("the process is about to end")]
    Ending,
    /// The authorization server does not answer. Why is in the log.
    #[error("the authorization server cannot be reached")]
    Unreachable,
    /// The authorization server did not give a token.
    #[error("the authorization server gave no token: {0}")]
    NotExchanged(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How credentials are taken.
#[derive(Clone, Debug, Default)]
pub struct CredentialSettings {
    /// Where authorization servers may send people back to, with `{upstream}` for the upstream's id, compared letter by
    /// letter. The only one is used when none is asked for.
    pub redirect_uris: Vec<String>,
    /// Whether authorization servers may be on this machine.
    pub loopback: Loopback,
}

/// Takes credentials, and leads people to them.
pub struct Credentials {
    pub(super) store: Arc<dyn UpstreamStore>,
    pub(super) settings: CredentialSettings,
    pub(super) oauth: OauthClient,
    pub(super) turns: Turns,
    keys: Option<Arc<KeyRing>>,
    random: Mutex<StdRng>,
}

impl Credentials {
    /// Over this store, sealing with these keys. Without keys nothing is taken.
    pub fn new(
        store: Arc<dyn UpstreamStore>,
        keys: Option<Arc<KeyRing>>,
        settings: CredentialSettings,
        random: StdRng,
    ) -> Self {
        let (oauth, turns) = (OauthClient::new(settings.loopback), Turns::default());
        Self { store, settings, oauth, turns, keys, random: Mutex::new(random) }
    }

    /// Whether authorization servers may be on this machine.
    pub fn loopback(&self) -> Loopback {
        self.settings.loopback
    }

    /// Waits for the codes that are being exchanged, for so long at most, and says what is given up.
    pub async fn finish(&self, patience: Duration) {
        let codes = self.turns.finish(patience).await;
        if codes > 0 {
            tracing::warn!(codes, "codes are given up that are being exchanged: the process ends");
        }
    }

    /// Stores what was given in place of the credential that is there.
    ///
    /// # Errors
    /// [`CredentialError`]; [`CredentialError::Unsuitable`] for a token where the upstream wants values of headers.
    pub async fn put(
        &self,
        key: &CredentialKey,
        given: Given,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<CredentialWritten, CredentialError> {
        let keys = self.keys()?;
        let upstream = self.store.upstream(&key.tenant, &key.upstream_id).await?.value;
        let Checked { secret, form, header_names } = check_given(&upstream, given)?;
        let sealed = self.seal_credential(keys, key, &secret);
        let credential =
            NewCredential { key: key.clone(), sealed, refresh: None, form, header_names, expires_at, now };
        Ok(self.store.put_credential(&credential).await?)
    }

    /// Stores what regate shows to the upstream's authorization server; `None` removes it.
    ///
    /// # Errors
    /// [`CredentialError`]. To remove it takes no key.
    pub async fn put_client_secret(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        secret: Option<SecretText>,
    ) -> Result<(), CredentialError> {
        let sealed = match secret {
            Some(secret) => {
                let keys = self.keys()?;
                check_secret("client_secret", &secret)?;
                // Without a place that it is for, it would go to the first that somebody names.
                if self.store.upstream(tenant, upstream_id).await?.value.oauth.is_none() {
                    return Err(CredentialError::Unsuitable(
                        "the upstream has no `oauth`: say where its client secret is for first",
                    ));
                }
                let place = SealedFor::ClientSecret { tenant, upstream_id };
                Some(keys.seal(place, secret.expose().as_bytes(), &mut *self.random()))
            }
            None => None,
        };
        Ok(self.store.put_client_secret(tenant, upstream_id, sealed.as_ref()).await?)
    }

    pub(super) fn keys(&self) -> Result<&KeyRing, CredentialError> {
        self.keys.as_deref().ok_or(CredentialError::NoKey)
    }

    pub(super) fn random(&self) -> MutexGuard<'_, StdRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seal_credential(
        &self,
        keys: &KeyRing,
        key: &CredentialKey,
        secret: &UpstreamSecret,
    ) -> Sealed {
        let place = SealedFor::credential(&key.tenant, &key.upstream_id, &key.holder);
        keys.seal(place, &secret::to_plain(secret), &mut *self.random())
    }
}

/// What was given, as the upstream wants it.
pub(super) struct Checked {
    pub secret: UpstreamSecret,
    /// What it consists of.
    pub form: CredentialForm,
    /// The headers that it has values of.
    pub header_names: Vec<String>,
}

/// Checks what was given against the upstream.
pub(super) fn check_given(upstream: &UpstreamRow, given: Given) -> Result<Checked, CredentialError> {
    match given {
        Given::Token(_) if upstream.value_headers.is_some() => {
            Err(CredentialError::Unsuitable("the upstream wants values of headers, and no token"))
        }
        Given::Token(token) => {
            check_secret("token", &token)?;
            let (form, header_names) = (CredentialForm::Token, header_of(upstream));
            Ok(Checked { secret: UpstreamSecret::Token(token), form, header_names })
        }
        Given::Headers(headers) => {
            // The value of the one header may be given as it is, in place of a token for `format`.
            let declared = upstream.value_headers.clone().unwrap_or_else(|| header_of(upstream));
            let headers = declared_headers(headers, &declared)?;
            let header_names = headers.keys().cloned().collect();
            Ok(Checked {
                secret: UpstreamSecret::Headers(headers),
                form: CredentialForm::Headers,
                header_names,
            })
        }
    }
}

/// The header that carries a token.
pub(super) fn header_of(upstream: &UpstreamRow) -> Vec<String> {
    vec![upstream.header.to_ascii_lowercase()]
}
