//! Tenant ids.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The id of an organisation. 1 to 63 characters of `a-z`, `0-9`, `-` and `_`, beginning with a
/// letter or a digit (so never with an underscore). The databases hold the same rule as a constraint.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

/// A text that cannot be a tenant id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a tenant id has 1 to 63 characters of a-z, 0-9, - and _, and begins with a letter or a digit")]
pub struct InvalidTenantId;

impl TenantId {
    /// The tenant of every row that names none.
    pub fn default_tenant() -> Self {
        Self("default".into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id's text, shared rather than copied.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl TryFrom<&str> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let begins_well =
            text.as_bytes().first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if begins_well && text.len() <= 63 && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidTenantId)
        }
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::try_from(text.as_str())
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl std::borrow::Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::TenantId;

    #[test]
    fn accepts_safe_ids_and_nothing_else() {
        for good in ["default", "a", "0", "acme-2", "a_b", &"x".repeat(63)] {
            assert!(TenantId::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "_a", "-a", "A", "a b", "a/b", "a.b", "ä", "a\0", &"x".repeat(64)] {
            assert!(TenantId::try_from(bad).is_err(), "{bad}");
        }
    }
}
