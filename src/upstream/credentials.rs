//! Credentials given by hand, and consent flows.

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use thiserror::Error;

use super::{InvalidSecret, KeyRing};
use crate::{
    store::{
        StoreError,
        upstreams::{BegunBy, CredentialKey, CredentialWritten, FlowRow, UpstreamStore},
    },
    types::{SecretText, TenantId, Timestamp},
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
    #[error("regate has no key to seal credentials with: set `[credentials] key_file`")]
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
    /// The authorization server did not give a token.
    #[error("the authorization server gave no token: {0}")]
    NotExchanged(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes credentials, and leads people to them.
pub struct Credentials {
    store: Arc<dyn UpstreamStore>,
    keys: Option<Arc<KeyRing>>,
    random: Mutex<StdRng>,
}

impl Credentials {
    /// Over this store, sealing with these keys. Without keys nothing is taken.
    pub fn new(store: Arc<dyn UpstreamStore>, keys: Option<Arc<KeyRing>>, random: StdRng) -> Self {
        Self { store, keys, random: Mutex::new(random) }
    }

    /// Stores what was given in place of the credential that is there.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn put(
        &self,
        _key: &CredentialKey,
        _given: Given,
        _expires_at: Option<Timestamp>,
        _now: Timestamp,
    ) -> Result<CredentialWritten, CredentialError> {
        let _ = (&self.store, &self.keys, &self.random);
        Err(CredentialError::NoKey)
    }

    /// Stores what regate shows to the upstream's authorization server; `None` removes it.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn put_client_secret(
        &self,
        _tenant: &TenantId,
        _upstream_id: &str,
        _secret: Option<SecretText>,
    ) -> Result<(), CredentialError> {
        Err(CredentialError::NoKey)
    }

    /// Begins a flow.
    ///
    /// # Errors
    /// [`CredentialError`]; [`CredentialError::Unsuitable`] when `redirect_uri` is there and nobody consents at this
    /// upstream, or the other way round.
    pub async fn begin(
        &self,
        _key: &CredentialKey,
        _begun_by: BegunBy,
        _redirect_uri: Option<String>,
        _now: Timestamp,
    ) -> Result<Begun, CredentialError> {
        Err(CredentialError::NoKey)
    }

    /// Completes a flow, once.
    ///
    /// # Errors
    /// [`CredentialError`]. What is wrong with what was given leaves the flow as it is; a code that was not taken ends
    /// it.
    pub async fn complete(
        &self,
        _tenant: &TenantId,
        _flow_id: &str,
        _by: &BegunBy,
        _with: Completion,
        _now: Timestamp,
    ) -> Result<(CredentialKey, CredentialWritten), CredentialError> {
        Err(CredentialError::NoKey)
    }
}
