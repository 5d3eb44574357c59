//! Sessions whose signatures were verified already: to verify one costs more than the whole decision.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

use crate::types::{Session, TokenHash};

/// So many are kept.
const SESSIONS: usize = 10_000;
/// And so many bytes of the texts that they were read from.
const BYTES: u64 = 16 * 1024 * 1024;

/// A session, and what made it one.
#[derive(Clone)]
pub(super) struct Verified {
    /// The place of its issuer.
    pub issuer: usize,
    /// The set of keys that verified it. With any other it must be verified anew.
    pub generation: u64,
    pub session: Arc<Session>,
    pub bytes: usize,
}

/// The sessions that were seen last, by the hash of the JWT. Whether their time has come or is over is not a
/// question for here.
pub(super) struct VerifiedSessions(Cache<TokenHash, Verified, ByBytes>);

#[derive(Clone)]
struct ByBytes;

impl Weighter<TokenHash, Verified> for ByBytes {
    fn weight(&self, _: &TokenHash, verified: &Verified) -> u64 {
        verified.bytes.max(1) as u64
    }
}

impl Default for VerifiedSessions {
    fn default() -> Self {
        Self(Cache::with_weighter(SESSIONS, BYTES, ByBytes))
    }
}

impl VerifiedSessions {
    /// The session of this JWT, if it is known and `is_in_force` says of its issuer and set of keys that they are.
    pub fn get(&self, sha256: &TokenHash, is_in_force: impl Fn(usize, u64) -> bool) -> Option<Arc<Session>> {
        let verified = self.0.get(sha256)?;
        if is_in_force(verified.issuer, verified.generation) {
            return Some(verified.session);
        }
        self.0.remove(sha256);
        None
    }

    /// Remembers one.
    pub fn put(&self, sha256: TokenHash, verified: Verified) {
        self.0.insert(sha256, verified);
    }
}
