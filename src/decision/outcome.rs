//! A decision: the answer, and what the gateway must do with the request.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use thiserror::Error;
use uuid::Uuid;

use super::{
    Document,
    evaluator::EvaluationError,
    explain::Why,
    reason::{OwnReason, Reason},
    snapshot::TokenRecord,
    verdict::InvalidVerdict,
};
use crate::types::{DataRevision, PolicyRevision, TenantId, TokenKind};

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
    /// What the gateway must change about the request's headers: first remove, then set.
    pub headers: HeaderChanges,
    /// The value of a `WWW-Authenticate` header to send back, on a 401.
    pub challenge: Option<&'static str>,
    /// The policy that decided.
    pub policy_revision: PolicyRevision,
    /// The data that it decided from.
    pub data_revision: DataRevision,
    /// Why there was no usable result, when `reasons` says `policy.error` or `policy.timeout`. For the
    /// log, not for the caller.
    pub fault: Option<Fault>,
    /// What the policy saw and gave, when the question asked for it.
    pub explanation: Option<Box<Explanation>>,
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

/// What the gateway must change about the request's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Names in lower case and their one value.
    pub set: BTreeMap<String, String>,
    /// Names in lower case, sorted. The caller's credential is always among them, and every name in
    /// `set`: a gateway that only sets would leave the client's own copy standing.
    pub remove: Vec<Cow<'static, str>>,
}

impl Default for HeaderChanges {
    /// No change but the one that is always made.
    fn default() -> Self {
        Self { set: BTreeMap::new(), remove: vec![Cow::Borrowed("authorization")] }
    }
}

impl HeaderChanges {
    /// The changes that a policy asked for, with the removals that go without saying.
    pub(super) fn new(set: Vec<(String, String)>, remove: Vec<String>) -> Self {
        let mut changes = Self::default();
        changes.remove.extend(remove.into_iter().map(Cow::Owned));
        changes.remove.extend(set.iter().map(|(name, _)| Cow::Owned(name.clone())));
        changes.remove.sort_unstable();
        changes.remove.dedup();
        changes.set = set.into_iter().collect();
        changes
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
}

impl Fault {
    pub(super) fn reason(&self) -> OwnReason {
        match self {
            Self::Evaluation(EvaluationError::InstructionBudget(_) | EvaluationError::TimeBudget) => {
                OwnReason::PolicyTimeout
            }
            Self::Evaluation(EvaluationError::Failed { .. } | EvaluationError::NoEntrypoint)
            | Self::Verdict(_) => OwnReason::PolicyError,
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
