//! Whose credential is this: what a credential looks like, and what it is known by.
//!
//! **For:** the one parser of `Authorization`, the format of regate's own tokens, their checksum and
//! their SHA-256; user sessions by JWT, and the keys that verify them.
//!
//! **Must never know:** where tokens are stored, what they may do, HTTP beyond the value of a header
//! and the fetching of keys; whether a session's time is now.
//! A raw token enters a function here and does not leave it, except from [`mint`].
//!
//! **To add one more** kind of credential: give it a module that recognises it, a variant of
//! [`PresentedCredential`](crate::types::PresentedCredential), and a case in [`CredentialReader::read`].

mod basic;
mod bearer;
mod reader;
pub mod sessions;
mod token;

pub use reader::CredentialReader;
pub use token::{
    FoundToken, MintedToken, TOKEN_PATTERN, TokenFault, TokenFormat, find, hash, identify, mint,
};
