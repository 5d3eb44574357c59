//! The one reader of credentials: what the parser found becomes a hash, or a session.

use std::sync::Arc;

use super::{
    bearer::present,
    sessions::Sessions,
    token::{TokenFormat, hash, identify},
};
use crate::types::PresentedCredential;

/// Reads what callers present. Without issuers, a JWT is a token like any other.
#[derive(Clone, Debug, Default)]
pub struct CredentialReader {
    sessions: Option<Arc<Sessions>>,
}

impl CredentialReader {
    /// A reader that also knows users' sessions.
    pub fn with_sessions(sessions: Arc<Sessions>) -> Self {
        Self { sessions: Some(sessions) }
    }

    /// Reads what a caller presented: a bare `token` that the gateway took out, the values of all
    /// `authorization` headers, or both.
    ///
    /// Whatever is there and is not one well-formed credential is [`Malformed`](PresentedCredential::Malformed)
    /// or [`Ambiguous`](PresentedCredential::Ambiguous): nothing that is there is ever ignored.
    pub fn read<'a>(
        &self,
        token: Option<&'a str>,
        authorization: impl IntoIterator<Item = &'a str>,
    ) -> PresentedCredential {
        let text = match present(token, authorization) {
            Ok(text) => text,
            Err(credential) => return credential,
        };
        match identify(text) {
            // A wrong checksum is a typing error or a scanner's guess: it costs no look-up.
            TokenFormat::Broken(_) => PresentedCredential::Malformed,
            TokenFormat::Regate(_) => PresentedCredential::Token(hash(text)),
            TokenFormat::Foreign => {
                let sha256 = hash(text);
                match self.sessions.as_ref().and_then(|sessions| sessions.read(text, &sha256)) {
                    Some(session) => PresentedCredential::Session { sha256, session },
                    None => PresentedCredential::Token(sha256),
                }
            }
        }
    }
}
