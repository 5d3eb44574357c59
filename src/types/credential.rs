//! What a caller presented, before anybody looked it up.

use std::sync::Arc;

use super::{Session, SessionRefusal, TokenHash};

/// The credential of a question, as `auth` read it. The secret itself is gone at this point: what
/// is left is its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresentedCredential {
    /// None at all: the caller is anonymous.
    Absent,
    /// Two different ones, or the header more than once.
    Ambiguous,
    /// Something that cannot be a credential: another scheme, an empty value, a wrong checksum.
    Malformed,
    /// A token, to be looked up by its hash.
    Token(TokenHash),
    /// A JWT, where issuers are configured.
    Session {
        /// Its hash: an imported token of another system may look like a JWT, and then is that token.
        sha256: TokenHash,
        /// Whose session it is, or why it is none.
        session: Result<Arc<Session>, SessionRefusal>,
    },
}

impl PresentedCredential {
    /// What a token is looked up by, if this may be one.
    pub fn token_hash(&self) -> Option<&TokenHash> {
        match self {
            Self::Absent | Self::Ambiguous | Self::Malformed => None,
            Self::Token(hash) | Self::Session { sha256: hash, .. } => Some(hash),
        }
    }
}
