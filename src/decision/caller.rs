//! Who the caller is: the token or the session of the credential, or why it is refused.

use std::sync::Arc;

use super::{
    Document,
    outcome::{Subject, SubjectKind},
    question::Question,
    reason::OwnReason,
    snapshot::{Snapshot, TenantData, TokenRecord},
};
use crate::types::{PresentedCredential, Session, TenantId, Timestamp, TokenKind, UserRole};

/// A caller whose credential is good, or would be at another time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller<'a> {
    /// With a token of the data.
    Token(&'a TokenRecord),
    /// A user, with a JWT of an issuer.
    Session(&'a Session),
}

/// The caller's user, as rules see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserInput<'a> {
    pub id: &'a Arc<str>,
    /// The row of the data.
    pub row: Option<&'a Document>,
    /// The role in place of the row's, where the configuration lets the issuer say it.
    pub claimed: Option<UserRole>,
}

impl<'a> Caller<'a> {
    pub fn tenant(self) -> Option<&'a TenantId> {
        match self {
            Self::Token(token) => token.tenant.as_ref(),
            Self::Session(session) => Some(&session.tenant),
        }
    }

    pub fn may_reach(self, upstream: &str, tenant: &TenantData) -> bool {
        match self {
            Self::Token(token) => tenant.granted(&token.id, upstream),
            // Grants are given to tokens: to a session is open what is open to all.
            Self::Session(_) => tenant.upstream(upstream).is_some_and(|upstream| upstream.allow_all),
        }
    }

    /// The caller's user in its tenant's data. `None` for a token without one, and for a session of somebody
    /// whom the data does not know: what becomes of that one, rules decide.
    ///
    /// # Errors
    /// [`OwnReason::TokenUnknown`] for a token whose user is gone. No constraint lets a token be left without
    /// its user, but constraints can be switched off; and rules ask whether a user is disabled, which nobody
    /// is who is not there.
    pub fn user(self, tenant: &'a TenantData) -> Result<Option<UserInput<'a>>, OwnReason> {
        match self {
            Self::Token(token) => match &token.user_id {
                None => Ok(None),
                Some(id) => {
                    let row = tenant.user(id).ok_or(OwnReason::TokenUnknown)?;
                    Ok(Some(UserInput { id, row: Some(row), claimed: None }))
                }
            },
            Self::Session(session) => {
                let user = UserInput {
                    id: &session.user_id,
                    row: tenant.user(&session.user_id),
                    claimed: session.role,
                };
                Ok((user.row.is_some() || user.claimed.is_some()).then_some(user))
            }
        }
    }
}

impl From<Caller<'_>> for Subject {
    fn from(caller: Caller<'_>) -> Self {
        match caller {
            Caller::Token(token) => token.into(),
            Caller::Session(session) => Self {
                kind: SubjectKind::Session,
                token_id: session.token_id.clone(),
                user_id: Some(Arc::clone(&session.user_id)),
                tenant: Some(session.tenant.clone()),
            },
        }
    }
}

/// The caller, `None` for an anonymous one, or why the credential is refused, with the caller where there is
/// one to name.
///
/// INVARIANT: a credential that is there and not good is a refusal. It never becomes anonymous, and what is
/// a token of the tenant's data is never a session: it can be revoked.
pub(super) fn resolve<'a>(
    snapshot: &'a Snapshot,
    question: &'a Question<'_>,
    now: Timestamp,
) -> Result<Option<Caller<'a>>, (OwnReason, Option<Caller<'a>>)> {
    match &question.credential {
        PresentedCredential::Absent => Ok(None),
        PresentedCredential::Ambiguous => Err((OwnReason::AmbiguousCredential, None)),
        PresentedCredential::Malformed => Err((OwnReason::TokenMalformed, None)),
        PresentedCredential::Token(hash) => {
            let token = snapshot.token(hash).ok_or((OwnReason::TokenUnknown, None))?;
            resolve_token(token, question, now)
        }
        PresentedCredential::Session { sha256, session } => match (snapshot.token(sha256), session) {
            // Who knows another tenant's session cannot make it theirs by importing its hash.
            (Some(token), Ok(session)) if token.tenant.as_ref() != Some(&session.tenant) => {
                resolve_session(session, question, now)
            }
            (Some(token), _) => resolve_token(token, question, now),
            (None, Ok(session)) => resolve_session(session, question, now),
            (None, Err(refusal)) => Err(((*refusal).into(), None)),
        },
    }
}

fn resolve_token<'a>(
    token: &'a TokenRecord,
    question: &Question<'_>,
    now: Timestamp,
) -> Result<Option<Caller<'a>>, (OwnReason, Option<Caller<'a>>)> {
    // A gateway's token is never a caller's, and a token without a tenant is a gateway's.
    let Some(tenant) = token.tenant.as_ref().filter(|_| token.kind != TokenKind::Gateway) else {
        return Err((OwnReason::TokenUnknown, None));
    };
    if is_hidden(tenant, question) {
        return Err((OwnReason::TokenUnknown, None));
    }
    let caller = Caller::Token(token);
    if token.revoked {
        return Err((OwnReason::TokenRevoked, Some(caller)));
    }
    if is_expired(token, now) {
        return Err((OwnReason::TokenExpired, Some(caller)));
    }
    Ok(Some(caller))
}

fn resolve_session<'a>(
    session: &'a Session,
    question: &Question<'_>,
    now: Timestamp,
) -> Result<Option<Caller<'a>>, (OwnReason, Option<Caller<'a>>)> {
    if is_hidden(&session.tenant, question) {
        return Err((OwnReason::TokenUnknown, None));
    }
    let caller = Caller::Session(session);
    match session.refusal_at(now) {
        Some(refusal) => Err((refusal.into(), Some(caller))),
        None => Ok(Some(caller)),
    }
}

/// A gateway of one tenant learns nothing of another's callers, not even that they exist.
fn is_hidden(tenant: &TenantId, question: &Question<'_>) -> bool {
    question.gateway.and_then(|gateway| gateway.tenant.as_ref()).is_some_and(|own| own != tenant)
}

/// At the second of its expiry a token has expired.
pub(super) fn is_expired(token: &TokenRecord, now: Timestamp) -> bool {
    token.expires_at.is_some_and(|expires_at| expires_at <= now.unix_seconds())
}
