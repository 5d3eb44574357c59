//! A decision: the answer, and what the gateway must do with the request.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use thiserror::Error;
use uuid::Uuid;

use super::{
    Document,
    abilities::CannotCarryOut,
    evaluator::EvaluationError,
    explain::Why,
    rate_limit::RateLimit,
    reason::{OwnReason, Reason},
    snapshot::TokenRecord,
    upstream::UnusableCredential,
    verdict::InvalidVerdict,
};
use crate::types::{DataRevision, Holder, PolicyRevision, SecretText, TenantId, TokenKind};

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Its id, for the record.
    pub id: Uuid,
    /// Whether the request may go on. False unless everything says otherwise.
    pub allow: bool,
    /// What the gateway should answer to its client when `allow` is false; 200 when it is true.
    pub status: u16,
    /// Why, most important first. Never empty.
    pub reasons: Reasons,
    /// Why, in words that may be shown to the caller.
    pub message: Message,
    /// Whose request it is; `None` for an anonymous caller and for a credential that is nobody's.
    pub subject: Option<Subject>,
    /// The tenant whose data decided, or would have: the credential's; an anonymous caller's is the gateway's, or the
    /// default one.
    pub tenant: TenantId,
    /// How often the caller may, as the policy says; counted when the decision is an answer to a gateway.
    pub limits: Vec<RateLimit>,
    /// The MCP messages that the rules were asked about, or would have been.
    pub messages: Vec<AskedMessage>,
    /// What the gateway must change about the request's headers: first remove, then set.
    pub headers: HeaderChanges,
    /// What identifies this caller's connection to the upstream, of an allowed request that names one.
    pub connection_key: Option<String>,
    /// Where the caller gets the upstream credential that is missing, when that can help.
    pub connect_url: Option<String>,
    /// Whose upstream credential this is about, when the rules allowed and one is needed. For the record.
    pub credential: Option<CredentialUse>,
    /// The value of a `WWW-Authenticate` header to send back, on a 401, and on a 403 whose policy says which scopes would do.
    pub challenge: Option<Cow<'static, str>>,
    /// The policy that decided.
    pub policy_revision: PolicyRevision,
    /// The data that it decided from.
    pub data_revision: DataRevision,
    /// Why there was no usable result, when `reasons` says `policy.error` or `policy.timeout`, or why a credential
    /// that is there is not used. For the log, not for the caller.
    pub fault: Option<Fault>,
    /// Whether the policy was asked: else regate itself had refused, or allowed a public path.
    pub evaluated: bool,
    /// What the policy saw and gave, when the question asked for it.
    pub explanation: Option<Box<Explanation>>,
}

impl Decision {
    /// The same as a deny, for a gateway that cannot do with the request's headers what the rules want. Nothing is set any
    /// more, and no upstream credential is told.
    #[must_use]
    pub fn not_carried_out(self) -> Self {
        self.denied_for(OwnReason::CannotCarryOut)
    }
}

/// An MCP message, as far as a record needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedMessage {
    /// The JSON-RPC method; of a response none.
    pub method: Option<Arc<str>>,
    /// The tool that it calls.
    pub tool: Option<Arc<str>>,
    /// It has parameters beside the tool's name.
    pub has_more: bool,
}

/// Reason codes, the first apart because there always is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons {
    /// The one that decided.
    pub first: Reason,
    /// All others.
    pub rest: Vec<Reason>,
}

impl Reasons {
    /// All codes, the first first.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.rest).map(Reason::as_str)
    }
}

/// Text for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// regate's own.
    Own(Cow<'static, str>),
    /// The policy's.
    Policy(Arc<str>),
}

impl Message {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(text) => text,
            Self::Policy(text) => text,
        }
    }
}

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The credential's kind.
    pub kind: SubjectKind,
    /// The token; of a session the claim `jti`, if it has one.
    pub token_id: Option<Arc<str>>,
    /// Its user.
    pub user_id: Option<Arc<str>>,
    /// The tenant, which comes from the credential alone.
    pub tenant: Option<TenantId>,
}

/// What kind of credential a caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// A token of this kind.
    Token(TokenKind),
    /// A user's session, by JWT.
    Session,
}

impl SubjectKind {
    /// The name used on the wire and in Rego.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token(kind) => kind.as_str(),
            Self::Session => "session",
        }
    }
}

impl From<&TokenRecord> for Subject {
    fn from(token: &TokenRecord) -> Self {
        Self {
            kind: SubjectKind::Token(token.kind),
            token_id: Some(Arc::clone(&token.id)),
            user_id: token.user_id.clone(),
            tenant: token.tenant.clone(),
        }
    }
}

/// Whose upstream credential a decision was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialUse {
    /// The tenant of both.
    pub tenant: TenantId,
    /// The upstream.
    pub upstream: String,
    /// Whose it is.
    pub holder: Holder,
    /// It had expired: if it can be renewed, it should be now.
    pub expired: bool,
}

/// How the names of the headers begin in which regate and gateways talk to each other, in lower case.
const REGATES: &str = "x-regate-";

/// What the gateway must change about the request's headers.
#[derive(Clone, Debug)]
pub struct HeaderChanges {
    /// Names in lower case and their one value.
    pub set: BTreeMap<String, String>,
    /// To be set as well: what goes on to the upstream. `Debug` shows no value.
    pub credential: BTreeMap<String, SecretText>,
    /// Names in lower case, sorted. The caller's credential is always among them, and every name in
    /// `set` and `credential`: a gateway that only sets would leave the client's own copy standing.
    pub remove: Vec<Cow<'static, str>>,
    /// Where the upstream says which of the caller's headers may pass: those, and no other does. Of the headers that the
    /// question told, the others are in `remove`; a gateway that did not tell all has to see to it by this.
    pub pass: Option<Vec<String>>,
}

impl HeaderChanges {
    /// No changes but those that are always made.
    pub(super) fn removing(credential_headers: &[Cow<'static, str>]) -> Self {
        Self {
            set: BTreeMap::new(),
            credential: BTreeMap::new(),
            remove: credential_headers.to_vec(),
            pass: None,
        }
    }

    /// Also the changes that a policy asked for, with the removals that go without saying.
    pub(super) fn and(mut self, set: Vec<(String, String)>, remove: Vec<String>) -> Self {
        if set.is_empty() && remove.is_empty() {
            return self;
        }
        self.remove.extend(remove.into_iter().map(Cow::Owned));
        self.remove.extend(set.iter().map(|(name, _)| Cow::Owned(name.clone())));
        self.set = set.into_iter().collect();
        self.tidy();
        self
    }

    /// Keeps these headers for the upstream's credential: nobody else sets them, and the client's own copies go.
    pub(super) fn take_over(&mut self, names: &[&str]) {
        self.set.retain(|name, _| !names.contains(&name.as_str()));
        self.remove.extend(names.iter().map(|name| Cow::Owned((*name).to_owned())));
        self.tidy();
    }

    /// Also removes what a server behind the gateway may take for a header that is removed or set: many read `X_User` and
    /// `X-User` as one (RFC 3875 section 4.1.18), and a `Connection` that names a header takes it away (RFC 9110 section 7.6.1).
    /// And what regate alone says: a client that writes `X-Regate-User` is not that user.
    pub(super) fn without_look_alikes<'h>(&mut self, told: impl Iterator<Item = (&'h str, &'h str)>) {
        let mut more: Vec<Cow<'static, str>> = Vec::new();
        for (name, value) in told {
            let is_kept = |name: &str| self.remove.iter().any(|removed| removed == name);
            let looks_alike = name.contains('_') && is_kept(&name.replace('_', "-"));
            let takes_away = name == "connection"
                && value.split(',').any(|named| is_kept(&named.trim().to_ascii_lowercase()));
            let is_regates =
                REGATES.chars().zip(name.chars()).all(|(own, c)| own == c || (own, c) == ('-', '_'))
                    && name.len() >= REGATES.len();
            if looks_alike || takes_away || is_regates {
                more.push(Cow::Owned(name.to_owned()));
            }
        }
        if !more.is_empty() {
            self.remove.append(&mut more);
            self.tidy();
        }
    }

    /// Sorts the removals, each once.
    pub(super) fn tidy(&mut self) {
        self.remove.sort_unstable();
        self.remove.dedup();
    }

    /// Every header to set. Each call is a place to look at in review: the values may be secrets.
    pub fn all_set(&self) -> impl Iterator<Item = (&str, &str)> {
        let set = self.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        set.chain(self.credential.iter().map(|(name, value)| (name.as_str(), value.expose())))
    }
}

/// Why the policy gave no usable result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The evaluation failed.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// Its result is not one.
    #[error(transparent)]
    Verdict(#[from] InvalidVerdict),
    /// The policy allowed, and the upstream's credential cannot go on.
    #[error(transparent)]
    Credential(UnusableCredential),
    /// The policy allowed, and the gateway cannot do what that needs.
    #[error(transparent)]
    Gateway(CannotCarryOut),
}

impl Fault {
    pub(super) fn reason(&self) -> OwnReason {
        match self {
            Self::Evaluation(EvaluationError::InstructionBudget(_) | EvaluationError::TimeBudget) => {
                OwnReason::PolicyTimeout
            }
            Self::Evaluation(EvaluationError::Failed { .. } | EvaluationError::NoEntrypoint)
            | Self::Verdict(_) => OwnReason::PolicyError,
            Self::Credential(_) => OwnReason::CredentialMissing,
            Self::Gateway(_) => OwnReason::CannotCarryOut,
        }
    }
}

/// What the policy saw, what it gave, and why. Holds no secret: `input` never has the caller's credential,
/// and what else may be secret is masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The input document; undefined when the policy was not asked, since regate itself had refused.
    pub input: Document,
    /// The entrypoint's result; undefined when it failed.
    pub result: Document,
    /// Rule by rule.
    pub why: Why,
}
