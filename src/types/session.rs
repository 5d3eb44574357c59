//! A user's session: what a JWT of an organisation's issuer says, once it has been verified.

use std::{fmt, sync::Arc};

use serde_json::{Map, Value};

use super::{TenantId, Timestamp, UserRole};

/// A JWT (RFC 7519) whose signature, issuer and audience are good. Whether its time is now is another
/// question, asked at the moment of each decision: see [`refusal_at`](Self::refusal_at).
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The user, from the claim that the issuer's configuration names.
    pub user_id: Arc<str>,
    /// The tenant, from the issuer's configuration or from the claim that it names.
    pub tenant: TenantId,
    /// The user's role, where the issuer's configuration lets the claim say it.
    pub role: Option<UserRole>,
    /// The claim `exp`, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// The claim `nbf`, in seconds since 1970.
    pub not_before: Option<i64>,
    /// By how many seconds the issuer's clock may differ from this machine's.
    pub leeway: i64,
    /// The claim `jti`.
    pub token_id: Option<Arc<str>>,
    /// All claims.
    pub claims: Map<String, Value>,
}

impl Session {
    /// Why the session is not good at this moment, if it is not. At the second of its expiry, and of the
    /// leeway behind it, it has expired.
    pub fn refusal_at(&self, now: Timestamp) -> Option<SessionRefusal> {
        let now = now.unix_seconds();
        if self.expires_at.is_some_and(|expires_at| expires_at.saturating_add(self.leeway) <= now) {
            return Some(SessionRefusal::Expired);
        }
        let early = self.not_before.is_some_and(|begin| begin > now.saturating_add(self.leeway));
        early.then_some(SessionRefusal::NotYetValid)
    }
}

impl fmt::Debug for Session {
    // Claims are about a person, and may hold more than anybody thought of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// Why a JWT is no session. Each has a reason code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionRefusal {
    /// Its header or its claims cannot be read, or ask for something that is not understood.
    Malformed,
    /// No issuer of the configuration is its `iss`.
    IssuerUnknown,
    /// Signed in a way that its issuer is not configured to sign, or not signed.
    AlgorithmNotAllowed,
    /// Its issuer has no key that it could be signed with.
    KeyUnknown,
    /// The signature is not the key's.
    SignatureInvalid,
    /// It is for somebody else.
    WrongAudience,
    /// Its time is over.
    Expired,
    /// It has no end, where one is required.
    ExpiryMissing,
    /// Its time has not come.
    NotYetValid,
    /// The claim that names the user or the tenant is missing, or names none.
    ClaimMissing,
    /// The issuer's keys have never been fetched: nobody can tell.
    KeysUnavailable,
}

impl SessionRefusal {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::IssuerUnknown,
        Self::AlgorithmNotAllowed,
        Self::KeyUnknown,
        Self::SignatureInvalid,
        Self::WrongAudience,
        Self::Expired,
        Self::ExpiryMissing,
        Self::NotYetValid,
        Self::ClaimMissing,
        Self::KeysUnavailable,
    ];
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Session, SessionRefusal};
    use crate::types::{TenantId, Timestamp};

    fn session(expires_at: Option<i64>, not_before: Option<i64>) -> Session {
        let claims = json!({"email": "ada@example.org"}).as_object().unwrap().clone();
        Session {
            user_id: "ada".into(),
            tenant: TenantId::default_tenant(),
            role: None,
            expires_at,
            not_before,
            leeway: 30,
            token_id: None,
            claims,
        }
    }

    #[test]
    fn the_leeway_is_on_both_sides_and_its_last_second_is_too_late() {
        let at = |session: &Session, now| session.refusal_at(Timestamp::from_unix_seconds(now));
        let both = session(Some(1_000), Some(900));
        assert_eq!(at(&both, 869), Some(SessionRefusal::NotYetValid));
        assert_eq!(at(&both, 870), None);
        assert_eq!(at(&both, 1_029), None);
        assert_eq!(at(&both, 1_030), Some(SessionRefusal::Expired));
        assert_eq!(at(&session(None, None), i64::MAX / 1_000), None);
        assert_eq!(at(&session(Some(i64::MAX), Some(i64::MIN)), 0), None);
        assert_eq!(at(&session(Some(i64::MIN), None), 0), Some(SessionRefusal::Expired));
    }

    #[test]
    fn debug_does_not_show_the_claims() {
        assert!(!format!("{:?}", session(None, None)).contains("ada"));
    }
}
