//! When each token was last used: noted beside the decision, written behind the answer, in batches.
//!
//! **Must never do:** hold up a decision. Noting is a look into a map in memory; what the database takes long
//! for, or refuses, is tried again later, and the oldest knowledge is what is lost when there is no room.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    store::{Store, TokenUse},
    types::{Timestamp, causes},
};

/// Maps, so that threads do not wait for each other.
const PARTS: usize = 16;
/// Tokens in a part between two writes. More are not noted until the next.
const TOKENS_IN_A_PART: usize = 65_536;
/// How long a write may take. It is no decision's business, but the task's.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// The uses that are not written yet.
pub struct TokenUses {
    parts: [Mutex<HashMap<Arc<str>, Timestamp>>; PARTS],
    not_noted: AtomicU64,
}

impl Default for TokenUses {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()), not_noted: AtomicU64::new(0) }
    }
}

impl fmt::Debug for TokenUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenUses").finish_non_exhaustive()
    }
}

impl TokenUses {
    /// Notes that a token was used. `part` is any number that threads do not share.
    pub(super) fn note(&self, part: usize, token: &Arc<str>, at: Timestamp) {
        let Some(part) = self.parts.get(part % PARTS) else { return };
        // What a panic left behind is still a map of times.
        let mut uses = part.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = uses.get_mut(token) {
            *last = at.max(*last);
        } else if uses.len() < TOKENS_IN_A_PART {
            uses.insert(Arc::clone(token), at);
        } else {
            self.not_noted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many uses there was no room for.
    pub fn not_noted(&self) -> u64 {
        self.not_noted.load(Ordering::Relaxed)
    }

    /// Takes what was noted since it was last taken: each token once.
    fn take(&self) -> Vec<TokenUse> {
        let mut all: HashMap<Arc<str>, Timestamp> = HashMap::new();
        for part in &self.parts {
            let taken = std::mem::take(&mut *part.lock().unwrap_or_else(PoisonError::into_inner));
            for (token, at) in taken {
                all.entry(token).and_modify(|last| *last = at.max(*last)).or_insert(at);
            }
        }
        all.into_iter().map(|(token, at)| TokenUse { token_id: token.as_ref().to_owned(), at }).collect()
    }

    fn give_back(&self, uses: Vec<TokenUse>) {
        for (place, TokenUse { token_id, at }) in uses.into_iter().enumerate() {
            self.note(place, &token_id.into(), at);
        }
    }

    /// Writes what was noted.
    async fn write(&self, store: &dyn Store) {
        let uses = self.take();
        if uses.is_empty() {
            return;
        }
        let problem = match tokio::time::timeout(WRITE_TIME, store.note_uses(&uses)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => causes(&error).join(": "),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!(tokens = uses.len(), problem, "when tokens were last used is not written yet");
        self.give_back(uses);
    }

    /// Writes what was noted, again and again, until `stopped`; then once more.
    pub async fn write_behind(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        interval: Duration,
        stopped: impl Future<Output = ()>,
    ) {
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let ends = tokio::select! {
                () = tokio::time::sleep(interval) => false,
                () = &mut stopped => true,
            };
            self.write(&*store).await;
            if ends {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{PARTS, TOKENS_IN_A_PART, TokenUses};
    use crate::types::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_seconds(second)
    }

    #[test]
    fn a_token_is_taken_once_with_its_last_use() {
        let uses = TokenUses::default();
        let token: Arc<str> = "t1".into();
        for (part, second) in [(0, 5), (1, 9), (PARTS, 7), (PARTS + 1, 1)] {
            uses.note(part, &token, at(second));
        }
        uses.note(3, &"t2".into(), at(2));
        let mut taken = uses.take();
        taken.sort_by(|left, right| left.token_id.cmp(&right.token_id));
        let taken: Vec<_> = taken.iter().map(|used| (used.token_id.as_str(), used.at)).collect();
        assert_eq!(taken, [("t1", at(9)), ("t2", at(2))]);
        assert!(uses.take().is_empty());
    }

    #[test]
    fn there_is_an_end_to_what_is_kept_and_it_is_counted() {
        let uses = TokenUses::default();
        for number in 0..TOKENS_IN_A_PART + 3 {
            uses.note(0, &format!("t{number}").into(), at(1));
        }
        assert_eq!(uses.not_noted(), 3);
        // One that is there already is no more.
        uses.note(0, &"t1".into(), at(2));
        assert_eq!(uses.not_noted(), 3);
        assert_eq!(uses.take().len(), TOKENS_IN_A_PART);
        uses.give_back(uses.take());
        assert!(uses.take().is_empty());
    }
}
