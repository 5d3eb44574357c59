//! What a caller presented, before anybody looked it up.

use super::TokenHash;

/// The credential of a question, as `auth` read it. The secret itself is gone at this point: what
/// is left is its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedCredential {
    /// None at all: the caller is anonymous.
    Absent,
    /// Two different ones, or the header more than once.
    Ambiguous,
    /// Something that cannot be a credential: another scheme, an empty value, a wrong checksum.
    Malformed,
    /// A token, to be looked up by its hash.
    Token(TokenHash),
}
