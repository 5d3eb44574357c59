//! What was sealed: a secret that only the right key opens, and only in its own place.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

use super::{Holder, HolderKind, TenantId};

/// Which key sealed something. It follows from the key and tells nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A text that is no key's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key's id is 16 lower-case hex digits")]
pub struct InvalidKeyId;

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(InvalidKeyId);
        }
        u64::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| InvalidKeyId)
    }
}

/// A sealed secret, as it is stored: safe to hold, to log by accident, and to lose.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What sealed it.
    pub key: KeyId,
    /// Nonce and ciphertext.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Where something sealed stands. What was sealed for one place does not open in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedFor<'a> {
    /// What goes on to an upstream.
    Credential {
        /// The tenant of both.
        tenant: &'a TenantId,
        /// The upstream.
        upstream_id: &'a str,
        /// What kind of holder.
        holder: HolderKind,
        /// The holder; empty for a shared one.
        holder_id: &'a str,
    },
    /// What an OAuth credential is renewed with.
    RefreshToken {
        /// The tenant of both.
        tenant: &'a TenantId,
        /// The upstream.
        upstream_id: &'a str,
        /// What kind of holder.
        holder: HolderKind,
        /// The holder; empty for a shared one.
        holder_id: &'a str,
    },
    /// What regate shows to an upstream's authorization server.
    ClientSecret {
        /// The tenant.
        tenant: &'a TenantId,
        /// The upstream.
        upstream_id: &'a str,
    },
    /// What proves that a consent flow ends where it began (RFC 7636).
    CodeVerifier {
        /// The tenant.
        tenant: &'a TenantId,
        /// The flow.
        flow_id: &'a str,
    },
}

impl<'a> SealedFor<'a> {
    /// The place of what goes on to an upstream for this holder.
    pub fn credential(tenant: &'a TenantId, upstream_id: &'a str, holder: &'a Holder) -> Self {
        Self::Credential { tenant, upstream_id, holder: holder.kind(), holder_id: holder.id() }
    }

    /// The place of what that is renewed with.
    pub fn refresh_token(tenant: &'a TenantId, upstream_id: &'a str, holder: &'a Holder) -> Self {
        Self::RefreshToken { tenant, upstream_id, holder: holder.kind(), holder_id: holder.id() }
    }

    /// The place as bytes: a name and each part with its length before it, so that no two places have the same.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        let mut put = |part: &str| {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        };
        let (what, tenant) = match self {
            Self::Credential { tenant, .. } => ("regate/1/credential", tenant),
            Self::RefreshToken { tenant, .. } => ("regate/1/refresh_token", tenant),
            Self::ClientSecret { tenant, .. } => ("regate/1/client_secret", tenant),
            Self::CodeVerifier { tenant, .. } => ("regate/1/code_verifier", tenant),
        };
        put(what);
        put(tenant.as_str());
        match self {
            Self::Credential { upstream_id, holder, holder_id, .. }
            | Self::RefreshToken { upstream_id, holder, holder_id, .. } => {
                put(upstream_id);
                put(holder.as_str());
                put(holder_id);
            }
            Self::ClientSecret { upstream_id: id, .. } | Self::CodeVerifier { flow_id: id, .. } => put(id),
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{KeyId, SealedFor};
    use crate::types::{HolderKind, TenantId};

    #[test]
    fn a_keys_id_is_read_as_it_is_written() {
        let id = KeyId([0, 1, 2, 0xab, 0xcd, 0xef, 9, 255]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "00", "000102ABCDEF09FF", "+00102abcdef09ff", "000102abcdef09ff0"] {
            assert!(wrong.parse::<KeyId>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_two_places_have_the_same_bytes() {
        let tenant = TenantId::default_tenant();
        let ids = ["", "a", "b", "aa", "a/b", "a\0b", "user"];
        let mut seen = BTreeSet::new();
        let mut places = 0;
        for upstream_id in ids {
            for holder in HolderKind::ALL {
                for holder_id in ids {
                    let tenant = &tenant;
                    seen.insert(SealedFor::Credential { tenant, upstream_id, holder, holder_id }.to_bytes());
                    seen.insert(
                        SealedFor::RefreshToken { tenant, upstream_id, holder, holder_id }.to_bytes(),
                    );
                    places += 2;
                }
            }
            seen.insert(SealedFor::ClientSecret { tenant: &tenant, upstream_id }.to_bytes());
            seen.insert(SealedFor::CodeVerifier { tenant: &tenant, flow_id: upstream_id }.to_bytes());
            places += 2;
        }
        assert_eq!(seen.len(), places);
    }
}
