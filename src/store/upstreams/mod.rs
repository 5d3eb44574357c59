//! Upstreams, who may reach them, and the sealed credentials that go on to them.
//!
//! What a change of grants does to credentials (systems.md B2 to B6) is done by triggers, in
//! `migrations/*/0003_upstream_credentials.sql`: in the transaction that makes the change, whoever makes it.

use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub(super) mod credentials;
pub(super) mod flows;
pub(super) mod grants;
pub(super) mod holding;
mod page;
pub(super) mod renewals;
pub(super) mod resealing;
pub(super) mod rows;
pub(super) mod sealed;
pub(super) mod secrets;
pub(super) mod sweep;

use super::{AsOf, StoreError, Written};
use crate::{
    decision::facts::{CredentialMode, CredentialState},
    types::{DataRevision, Holder, HolderKind, KeyId, Sealed, TenantId, Timestamp, TokenHash},
};

/// An upstream, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRow {
    /// Its tenant.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// Every token of the tenant may reach it.
    pub allow_all: bool,
    /// Which credential goes on.
    pub credential: CredentialMode,
    /// The header that carries it.
    pub header: String,
    /// What stands in it, with `{token}` for the credential.
    pub format: String,
    /// The headers whose values a credential gives as they are, in place of `header` and `format`. In lower case.
    pub value_headers: Option<Vec<String>>,
    /// The caller's headers that may pass; `None` for all but credentials. In lower case.
    pub pass_headers: Option<Vec<String>>,
    /// Where its holders consent, if they do.
    pub oauth: Option<OauthSettings>,
    /// Whether a client secret is stored for it.
    pub has_client_secret: bool,
}

/// The client that regate is at an upstream's authorization server (OAuth 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthSettings {
    /// Where people consent (RFC 6749 section 3.1).
    pub authorization_endpoint: String,
    /// Where a code becomes a token (RFC 6749 section 3.2).
    pub token_endpoint: String,
    /// Who regate is there.
    pub client_id: String,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What the token is for (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Who answers there (RFC 8414): what comes back with a code has to say the same (RFC 9207).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// What an upstream is to be. `None` keeps what it is; a new one has the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamChange {
    /// Where it is. A new upstream needs one.
    pub url: Option<String>,
    /// Every token may reach it; none for a new one.
    pub allow_all: Option<bool>,
    /// Which credential goes on; none for a new one.
    pub credential: Option<CredentialMode>,
    /// The header that carries it; `Authorization` for a new one.
    pub header: Option<String>,
    /// What stands in it; `Bearer {token}` for a new one.
    pub format: Option<String>,
    /// `Some(None)` goes back to `header` and `format`.
    pub value_headers: Option<Option<Vec<String>>>,
    /// `Some(None)` lets all but credentials pass.
    pub pass_headers: Option<Option<Vec<String>>>,
    /// `Some(None)`: nobody consents any more.
    pub oauth: Option<Option<OauthSettings>>,
}

/// Which upstreams to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFilter {
    /// Whose they are.
    pub tenant: TenantId,
    /// Only with this kind of credential.
    pub credential: Option<CredentialMode>,
    /// Only those that every token may reach, or only others.
    pub allow_all: Option<bool>,
    /// Only those whose id comes after this one, in the order of the list. It need not exist.
    pub after: Option<String>,
    /// The most rows to give.
    pub limit: u32,
}

/// The grants of a token or of an upstream, as they are to be: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamGrants {
    /// The tokens that may reach it.
    pub tokens: BTreeSet<String>,
    /// Whether every token may; `None` keeps what it is.
    pub allow_all: Option<bool>,
}

/// Which credential: of whom, for which upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialKey {
    /// The tenant of both.
    pub tenant: TenantId,
    /// The upstream.
    pub upstream_id: String,
    /// Whose it is.
    pub holder: Holder,
}

/// What a credential consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialForm {
    /// A token, for the upstream's `header` and `format`.
    Token,
    /// Values of headers as they are, for the upstream's `value_headers`, or for its one `header`.
    Headers,
}

/// A credential to store, in place of the one that is there, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential {
    /// Which one.
    pub key: CredentialKey,
    /// What goes on, sealed.
    pub sealed: Sealed,
    /// What it is renewed with, sealed.
    pub refresh: Option<Sealed>,
    /// What it consists of.
    pub form: CredentialForm,
    /// The headers whose values it has, in lower case; of a token the upstream's `header`.
    pub header_names: Vec<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When this happens.
    pub now: Timestamp,
}

/// What a credential became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialWritten {
    /// The revision that has it.
    pub revision: DataRevision,
    /// There was none before.
    pub created: bool,
    /// `needs_update` when the upstream wants other headers by now, else `orphaned` when its token has no grant, else
    /// `active`.
    pub state: CredentialState,
}

/// A credential, as it may be shown: never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// Which one.
    pub key: CredentialKey,
    /// The user behind it: the holder, or the token's user.
    pub user_id: Option<String>,
    /// Whether it may be used.
    pub state: CredentialState,
    /// The headers whose values it has.
    pub header_names: Vec<String>,
    /// What sealed it.
    pub sealed_by: KeyId,
    /// Whether regate renews it before it expires.
    pub renewable: bool,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When its holder first gave or consented to one here.
    pub created_at: Timestamp,
    /// When it was last given, consented to or renewed.
    pub updated_at: Timestamp,
    /// Since when its token lacks the grant.
    pub orphaned_at: Option<Timestamp>,
}

/// Which credentials to list, by upstream, kind of holder, holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFilter {
    /// Whose they are.
    pub tenant: TenantId,
    /// Only for this upstream.
    pub upstream_id: Option<String>,
    /// Only of this kind of holder.
    pub holder: Option<HolderKind>,
    /// Only of holders with this id.
    pub holder_id: Option<String>,
    /// Only those behind which this user is.
    pub user_id: Option<String>,
    /// Only in this state.
    pub state: Option<CredentialState>,
    /// Only those in whose upstream's or holder's id this text stands, whatever its case.
    pub search: Option<String>,
    /// Only those after this one, in the order of the list. It need not exist.
    pub after: Option<(String, Holder)>,
    /// The most rows to give.
    pub limit: u32,
}

/// Who began a consent flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunBy {
    /// The kind of credential it was done with, such as `session` or `admin`.
    pub kind: String,
    /// The user, or the token of an operator who is no user.
    pub id: String,
}

/// A consent flow that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFlow {
    /// Nobody can guess it.
    pub id: String,
    /// What it will give.
    pub key: CredentialKey,
    /// By whom.
    pub begun_by: BegunBy,
    /// Of a flow through an authorization server: the hash of its `state` (RFC 6749 section 10.12).
    pub state_sha256: Option<TokenHash>,
    /// And the proof that it ends where it began, sealed.
    pub verifier: Option<Sealed>,
    /// And where the authorization server sends the person back to.
    pub redirect_uri: Option<String>,
    /// Now.
    pub created_at: Timestamp,
    /// When it is too late.
    pub expires_at: Timestamp,
}

/// A consent flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// What it was begun as.
    pub flow: NewFlow,
    /// The user behind the holder.
    pub user_id: Option<String>,
    /// It has been completed, or is being.
    pub taken: bool,
}

/// Which flows to list, oldest first: those that can still be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFilter {
    /// Whose they are.
    pub tenant: TenantId,
    /// Only for this upstream.
    pub upstream_id: Option<String>,
    /// Only of this kind of holder.
    pub holder: Option<HolderKind>,
    /// Only of holders with this id.
    pub holder_id: Option<String>,
    /// Only those behind which this user is.
    pub user_id: Option<String>,
    /// Only those in whose upstream's or holder's id this text stands, whatever its case.
    pub search: Option<String>,
    /// Only those after the flow with this id.
    pub after: Option<String>,
    /// The most rows to give.
    pub limit: u32,
    /// The moment as of which one has expired.
    pub now: Timestamp,
}

/// Why a flow cannot be completed although it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// Its time is over.
    Expired,
    /// It was completed, or is being: its state is good for one time.
    Taken,
}

impl fmt::Display for FlowEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "has expired",
            Self::Taken => "was completed already, or is being completed",
        })
    }
}

/// Which credentials to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalsWanted {
    /// Only this one; else all that are due.
    pub only: Option<CredentialKey>,
    /// Those that expire before this moment.
    pub expiring_before: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// Until when nobody else renews those that are given.
    pub held_until: Timestamp,
    /// The most to give.
    pub limit: u32,
}

/// A credential that is to be renewed, by nobody else for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Which one.
    pub key: CredentialKey,
    /// Where.
    pub oauth: OauthSettings,
    /// What regate shows there, sealed.
    pub client_secret: Option<Sealed>,
    /// What it is renewed with, sealed.
    pub refresh: Sealed,
    /// Moves whenever the credential is another.
    pub version: i64,
    /// Until when nobody else is given it.
    pub held_until: Timestamp,
}

/// What came of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// There is a new one.
    As {
        /// What goes on, sealed.
        sealed: Sealed,
        /// What it is renewed with, sealed; the old one when `None`.
        refresh: Option<Sealed>,
        /// When it expires.
        expires_at: Option<Timestamp>,
    },
    /// The authorization server renews it no more.
    Refused,
    /// It could not be asked; not again before this moment.
    NotBefore {
        /// This moment.
        moment: Timestamp,
        /// Until when it was given to whoever writes this: nothing is written when somebody else was given it since.
        held_until: Timestamp,
    },
}

/// A place that holds something sealed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedPlace {
    /// What goes on to an upstream.
    Credential(CredentialKey),
    /// What that is renewed with.
    RefreshToken(CredentialKey),
    /// What regate shows to an authorization server.
    ClientSecret {
        /// The tenant.
        tenant: TenantId,
        /// The upstream.
        upstream_id: String,
    },
    /// The proof of a flow.
    CodeVerifier {
        /// The tenant.
        tenant: TenantId,
        /// The flow.
        flow_id: String,
    },
}

/// What a sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Credentials that had been orphaned for too long, or whose token had been expired for as long.
    pub credentials: u64,
    /// Flows whose time was over.
    pub flows: u64,
}

/// The part of a [`Store`](super::Store) about upstreams. What is said there of errors holds here.
#[async_trait]
pub trait UpstreamStore: Send + Sync {
    /// Makes this upstream, or brings it to what it is to be.
    ///
    /// # Errors
    /// [`StoreError::UnknownReference`] when the tenant does not exist, [`StoreError::Required`] for a new one without
    /// a URL, [`StoreError::Rejected`] when it breaks a rule: one that is reached by no `http` or `https` URL cannot
    /// have a credential.
    async fn put_upstream(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &UpstreamChange,
    ) -> Result<Written, StoreError>;

    /// The upstream `id` of this tenant.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn upstream(&self, tenant: &TenantId, id: &str) -> Result<AsOf<UpstreamRow>, StoreError>;

    /// The upstreams that pass `filter`, by id.
    async fn list_upstreams(&self, filter: &UpstreamFilter) -> Result<AsOf<Vec<UpstreamRow>>, StoreError>;

    /// Removes the upstream with its grants, credentials and flows, for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn remove_upstream(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError>;

    /// The upstreams that the token has grants for, by id; those that are open to all are not among them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such token.
    async fn token_grants(&self, tenant: &TenantId, token_id: &str) -> Result<AsOf<Vec<String>>, StoreError>;

    /// The tokens that have grants for the upstream, by id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such upstream.
    async fn upstream_grants(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
    ) -> Result<AsOf<Vec<String>>, StoreError>;

    /// Brings all grants of a token to this list, and its credentials with them. `created` is never set.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such token, [`StoreError::UnknownReference`] when it lacks one
    /// of the upstreams: then nothing is written. [`StoreError::NotLive`] when the token is dead at `now`.
    async fn set_token_grants(
        &self,
        tenant: &TenantId,
        token_id: &str,
        upstreams: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Written, StoreError>;

    /// Brings all grants for an upstream to this list, and its `allow_all`, and all credentials with them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such upstream, [`StoreError::UnknownReference`] when it lacks
    /// one of the tokens: then nothing is written.
    async fn set_upstream_grants(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        grants: &UpstreamGrants,
    ) -> Result<Written, StoreError>;

    /// Stores a credential in place of the one that is there. A token without the grant has it orphaned.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such upstream, [`StoreError::UnknownReference`] when it has no
    /// such holder, [`StoreError::WrongHolder`] when the upstream has no credential of such holders,
    /// [`StoreError::NotLive`] for a dead token.
    async fn put_credential(&self, credential: &NewCredential) -> Result<CredentialWritten, StoreError>;

    /// One credential.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn credential(&self, key: &CredentialKey) -> Result<AsOf<CredentialRow>, StoreError>;

    /// The credentials that pass `filter`, by upstream, kind of holder, holder.
    async fn list_credentials(
        &self,
        filter: &CredentialFilter,
    ) -> Result<AsOf<Vec<CredentialRow>>, StoreError>;

    /// Removes a credential, and before it its flows, so that none brings it back.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is neither.
    async fn remove_credential(&self, key: &CredentialKey) -> Result<DataRevision, StoreError>;

    /// Stores what regate shows to the upstream's authorization server; `None` removes it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such upstream.
    async fn put_client_secret(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        secret: Option<&Sealed>,
    ) -> Result<(), StoreError>;

    /// What regate shows to the upstream's authorization server.
    async fn client_secret(&self, tenant: &TenantId, upstream_id: &str)
    -> Result<Option<Sealed>, StoreError>;

    /// Begins a flow. Of its holder's pending ones for the upstream the newest 5 stay, and of its beginner's the newest
    /// 50.
    ///
    /// # Errors
    /// As [`put_credential`](Self::put_credential), and [`StoreError::NotGranted`] for a token without the grant.
    async fn begin_flow(&self, flow: &NewFlow) -> Result<(), StoreError>;

    /// One flow, also one that is over.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn flow(&self, tenant: &TenantId, id: &str) -> Result<FlowRow, StoreError>;

    /// The flows that pass `filter`, oldest first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when `filter.after` names no flow of `filter.tenant`.
    async fn list_flows(&self, filter: &FlowFilter) -> Result<Vec<FlowRow>, StoreError>;

    /// Takes a flow to complete it: of any number that do at once, one gets it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::FlowOver`].
    async fn take_flow(&self, tenant: &TenantId, id: &str, now: Timestamp) -> Result<FlowRow, StoreError>;

    /// Ends a flow that was taken with the credential that it gave.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the flow is gone: its grant was lost, or its credential revoked. Else as
    /// [`put_credential`](Self::put_credential).
    async fn complete_flow(
        &self,
        id: &str,
        credential: &NewCredential,
    ) -> Result<CredentialWritten, StoreError>;

    /// Removes a flow.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn remove_flow(&self, tenant: &TenantId, id: &str) -> Result<(), StoreError>;

    /// Gives those that are due to one caller each, who renews them; none whose holder could not use it: a disabled
    /// user, a dead token, a disabled user's token.
    async fn claim_renewals(&self, wanted: &RenewalsWanted) -> Result<Vec<Renewal>, StoreError>;

    /// Writes what came of a renewal, unless the credential is another by now (`None`). Its state stays, but that what
    /// is refused needs a new consent.
    async fn finish_renewal(
        &self,
        key: &CredentialKey,
        version: i64,
        outcome: &Renewed,
        now: Timestamp,
    ) -> Result<Option<DataRevision>, StoreError>;

    /// Takes away what was orphaned before the first moment, what tokens hold that expired before it, and flows that had
    /// expired at the second.
    async fn sweep_credentials(
        &self,
        orphaned_before: Timestamp,
        now: Timestamp,
    ) -> Result<Swept, StoreError>;

    /// The keys that sealed something that is stored, and how much each.
    async fn sealing_keys(&self) -> Result<Vec<(KeyId, u64)>, StoreError>;

    /// What was sealed by other keys than this one, by kind of place, and within a kind in the order that the database
    /// gives to text; only what comes after a place, which need not exist.
    async fn sealed_by_others(
        &self,
        key: KeyId,
        after: Option<&SealedPlace>,
        limit: u32,
    ) -> Result<Vec<(SealedPlace, Sealed)>, StoreError>;

    /// Puts what was sealed anew in place of the old, where the old still stands. Gives how many it put.
    async fn reseal(&self, rows: &[(SealedPlace, Sealed, Sealed)]) -> Result<u64, StoreError>;
}
