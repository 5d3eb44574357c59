//! What a stored token is known by: its hash and its kind. The raw token has no type here, because
//! nothing but `auth` may hold one for longer than a call.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The SHA-256 of a whole token, the only form in which a token is stored or looked up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// A text that is not 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a SHA-256 is written as 64 lower-case hex digits")]
pub struct InvalidTokenHash;

impl FromStr for TokenHash {
    type Err = InvalidTokenHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(InvalidTokenHash),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(InvalidTokenHash);
        }
        let mut hash = [0; 32];
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    // A hash of a token of little randomness can be reversed: logs get none of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// What a token is for. See the table of words in `docs/concepts.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// A user's token for many projects.
    Global,
    /// A token for one project.
    Project,
    /// For AI agents and LLM clients, confined to MCP paths.
    Mcp,
    /// For operators.
    Admin,
    /// Authenticates a gateway to regate; never a caller.
    Gateway,
}

/// A text that names no token kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a token kind is one of global, project, mcp, admin, gateway")]
pub struct UnknownTokenKind;

impl TokenKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Global, Self::Project, Self::Mcp, Self::Admin, Self::Gateway];

    /// The name used on the wire, in the store, in Rego and in the token's own prefix.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Project => "project",
            Self::Mcp => "mcp",
            Self::Admin => "admin",
            Self::Gateway => "gateway",
        }
    }
}

impl FromStr for TokenKind {
    type Err = UnknownTokenKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownTokenKind)
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{TokenHash, TokenKind};

    #[test]
    fn a_hash_reads_back_as_it_was_written() {
        let hash = TokenHash(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn a_hash_of_another_form_is_refused() {
        let good = "ab".repeat(32);
        for bad in ["", &good[1..], &format!("{good}0"), &good.to_uppercase(), &"é".repeat(32)] {
            assert!(bad.parse::<TokenHash>().is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_does_not_show_the_hash() {
        assert_eq!(format!("{:?}", TokenHash([7; 32])), "TokenHash(…)");
    }

    #[test]
    fn every_kind_reads_back() {
        for kind in TokenKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }
}
