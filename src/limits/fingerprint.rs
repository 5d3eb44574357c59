//! What stands for a limit and a key: 128 bits of a keyed hash in this process, a SHA-256 in Redis.
//!
//! Tenant, name, key, limit and window all go in, each ending where no other text could go on: so a key with
//! separators in it is never another's. Within a process nobody who chooses keys knows the hash's own key, so
//! nobody can aim at another's window or at one bucket of the map; that two of a million keys meet by chance is
//! less likely than 2^-88, and they would then share one window. The processes that share Redis have no secret
//! in common; there the hash is one in which nobody finds two texts that meet.

use std::{
    fmt::Write as _,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
};

use sha2::{Digest, Sha256};

use super::{Limit, window::Shape};

/// Stands for one limit and one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Chooses the bucket of the map.
    low: u64,
    /// Chooses the map.
    high: u64,
}

impl Fingerprint {
    /// Of one key. The randomness is that of `keyed`, which is the process's own.
    pub(super) fn of(limit: &Limit<'_>, keyed: &RandomState) -> Self {
        Self::hashed(keyed, (limit.tenant, limit.name, Some(limit.key), limit.limit, limit.window))
    }

    /// Of all keys of a limit together.
    pub(super) fn of_all(limit: &Limit<'_>, keyed: &RandomState) -> Self {
        Self::hashed(keyed, (limit.tenant, limit.name, None::<&str>, limit.limit, limit.window))
    }

    /// Two hashes of two texts, which differ in how they begin.
    fn hashed(keyed: &RandomState, identity: impl Hash) -> Self {
        Self { low: keyed.hash_one((0_u8, &identity)), high: keyed.hash_one((1_u8, &identity)) }
    }

    /// One of so many parts.
    pub(super) fn part(self, parts: usize) -> usize {
        usize::try_from(self.high).unwrap_or(usize::MAX) % parts.max(1)
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// For maps of fingerprints, which are hashes already.
#[derive(Default)]
pub(super) struct AsItIs(u64);

pub(super) type BuildAsItIs = BuildHasherDefault<AsItIs>;

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The key in Redis: the same in every process and every version that counts alike.
pub(super) fn redis_key(limit: &Limit<'_>, shape: Shape) -> String {
    let mut hash = Sha256::new();
    for text in [limit.tenant, limit.name, limit.key] {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text.as_bytes());
    }
    for number in [shape.limit, shape.window] {
        hash.update(number.to_be_bytes());
    }
    let mut key = String::with_capacity(77);
    key.push_str("regate:limit:");
    for byte in hash.finalize() {
        // A String takes all that is written to it.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::RandomState, time::Duration};

    use super::{Fingerprint, redis_key};
    use crate::limits::{Limit, window::Shape};

    const LIMIT: Limit<'static> = Limit {
        tenant: "acme",
        name: "mcp.logs",
        key: "user:u1",
        limit: 10,
        window: Duration::from_secs(60),
        count: 1,
    };

    #[test]
    fn everything_but_the_count_makes_another_window() {
        let keyed = RandomState::new();
        let others = [
            LIMIT,
            Limit { tenant: "other", ..LIMIT },
            Limit { name: "mcp.builds", ..LIMIT },
            Limit { key: "user:u2", ..LIMIT },
            Limit { limit: 11, ..LIMIT },
            Limit { window: Duration::from_secs(61), ..LIMIT },
            // The same letters, with the borders elsewhere.
            Limit { tenant: "acmem", name: "cp.logs", ..LIMIT },
            Limit { name: "mcp.logsuser", key: ":u1", ..LIMIT },
            Limit { tenant: "", name: "", key: "acmemcp.logsuser:u1", ..LIMIT },
            Limit { name: "mcp.logs\0user", key: "u1", ..LIMIT },
            Limit { name: "mcp.logs\u{ff}", ..LIMIT },
            Limit { key: "", ..LIMIT },
        ];
        let prints: Vec<Fingerprint> = others.iter().map(|limit| Fingerprint::of(limit, &keyed)).collect();
        let keys: HashSet<String> = others.iter().map(|limit| redis_key(limit, Shape::of(limit))).collect();
        assert_eq!(keys.len(), others.len());
        for (index, print) in prints.iter().enumerate() {
            assert!(prints.iter().skip(index + 1).all(|other| other != print), "{:?}", others[index]);
        }
        let again = Limit { count: 7, ..LIMIT };
        assert_eq!(Fingerprint::of(&again, &keyed), prints[0]);
        assert!(keys.contains(&redis_key(&again, Shape::of(&again))));
    }

    #[test]
    fn all_keys_together_are_no_key() {
        let keyed = RandomState::new();
        let all = Fingerprint::of_all(&LIMIT, &keyed);
        assert_eq!(all, Fingerprint::of_all(&Limit { key: "user:u2", ..LIMIT }, &keyed));
        assert_ne!(all, Fingerprint::of(&Limit { key: "", ..LIMIT }, &keyed));
        assert_ne!(all, Fingerprint::of_all(&Limit { limit: 11, ..LIMIT }, &keyed));
    }

    #[test]
    fn the_hash_differs_from_process_to_process_and_the_key_in_redis_does_not() {
        assert_ne!(
            Fingerprint::of(&LIMIT, &RandomState::new()),
            Fingerprint::of(&LIMIT, &RandomState::new())
        );
        assert_eq!(
            redis_key(&LIMIT, Shape::of(&LIMIT)),
            "regate:limit:458da7901517322f3a36fd0769f25b19c696882e0557cd0772e9d669e161534e"
        );
    }
}
