//! One issuer: its settings, the keys that it has at this moment, and how it came by them.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    claims,
    jwt::{Header, Jwt},
    key_set::KeySet,
    settings::{InvalidIssuer, IssuerSettings},
    source::KeySource,
};
use crate::types::{Clock, ClockReading, Session, SessionRefusal};

/// An issuer at work.
pub(super) struct Issuer {
    pub settings: IssuerSettings,
    pub source: KeySource,
    /// Told when a key is asked for that is not there.
    pub wanted: Notify,
    keys: RwLock<Option<Known>>,
    /// Which set it is, counted from 1; 0 before the first.
    generation: AtomicU64,
    failures: AtomicU64,
}

/// Keys, and when they were last known to be the issuer's.
struct Known {
    keys: Arc<KeySet>,
    confirmed: ClockReading,
}

/// What to expect of a new set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// They are the same.
    None,
    /// They are others, this many.
    Keys(usize),
}

impl Issuer {
    /// Checks the settings, and reads keys that are in a file.
    ///
    /// # Errors
    /// [`InvalidIssuer`].
    pub fn new(settings: IssuerSettings, clock: &dyn Clock) -> Result<Self, InvalidIssuer> {
        let settings = settings.checked()?;
        let source = KeySource::new(&settings.keys)?;
        let first = source.read_file(&settings.algorithms)?;
        let issuer = Self {
            settings,
            source,
            wanted: Notify::new(),
            keys: RwLock::new(None),
            generation: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        };
        if let Some(keys) = first {
            issuer.put(keys, clock.reading());
        }
        Ok(issuer)
    }

    /// Which set of keys it has. Another one has another number, and none is forgotten by having the same.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Verifies a JWT of this issuer. Gives the session, and the number of the set of keys that verified it.
    ///
    /// # Errors
    /// [`SessionRefusal`]. A key that is not known is asked for in the background; nobody waits for it.
    pub fn verify(
        &self,
        jwt: &Jwt<'_>,
        header: &Header,
        claims: serde_json::Map<String, serde_json::Value>,
    ) -> Result<(Session, u64), SessionRefusal> {
        if !self.settings.algorithms.contains(&header.algorithm) {
            return Err(SessionRefusal::AlgorithmNotAllowed);
        }
        // Before the keys: a set that comes in between is then not taken for the older one's successor.
        let generation = self.generation();
        let keys = self.keys().ok_or(SessionRefusal::KeysUnavailable)?;
        let verified = keys.verify(header, jwt.signed, jwt.signature);
        let maybe_new = match verified {
            Err(SessionRefusal::KeyUnknown) => true,
            // Keys without names are exchanged without a word.
            Err(SessionRefusal::SignatureInvalid) => header.key_id.is_none(),
            _ => false,
        };
        if maybe_new {
            self.wanted.notify_one();
        }
        verified?;
        Ok((claims::session(&self.settings, claims)?, generation))
    }

    /// Takes keys that were read at this moment.
    pub fn put(&self, keys: KeySet, confirmed: ClockReading) -> Change {
        let mut known = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut().filter(|known| known.keys.is(&keys)) {
            known.confirmed = confirmed;
            return Change::None;
        }
        let change = Change::Keys(keys.len());
        *known = Some(Known { keys: Arc::new(keys), confirmed });
        self.generation.fetch_add(1, Ordering::AcqRel);
        change
    }

    /// Counts a failure to read keys.
    pub fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How often keys could not be read.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How long ago the keys were known to be the issuer's; `None` before the first.
    pub fn age(&self, now: ClockReading) -> Option<Duration> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|known| now.since(known.confirmed))
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|known| Arc::clone(&known.keys))
    }
}
