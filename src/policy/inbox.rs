//! What the thread that reloads waits for. However much is announced, it takes no room: an announcement
//! says only that something happened.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::status::PolicyState;

/// Somebody who waits for a reload that was asked for.
type Waiting = oneshot::Sender<Arc<PolicyState>>;

/// Why the thread was woken.
#[derive(Debug)]
pub(super) enum Woken {
    /// The time is over, and nothing happened.
    Time,
    /// Something changed, and has been quiet for a while.
    Changes,
    /// So many have asked for a reload. They stay in the inbox until they are [answered](Inbox::answer).
    Asked(usize),
    /// It is over.
    Ended,
}

/// How announcements are gathered.
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// A change is acted on when nothing more has happened for this long,
    pub quiet: Duration,
    /// or after this long at the latest.
    pub at_most: Duration,
}

impl Default for Gather {
    fn default() -> Self {
        Self { quiet: Duration::from_millis(50), at_most: Duration::from_millis(500) }
    }
}

/// Where everybody puts what the thread should know.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    news: Mutex<News>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct News {
    changes: u64,
    asked: Vec<Waiting>,
    ended: bool,
}

impl Inbox {
    /// Something in the folders changed.
    pub fn changed(&self) {
        let mut news = self.lock();
        news.changes = news.changes.wrapping_add(1);
        self.arrived.notify_one();
    }

    /// Somebody wants a reload. `None` when the thread has ended.
    pub fn ask(&self) -> Option<oneshot::Receiver<Arc<PolicyState>>> {
        let (sender, receiver) = oneshot::channel();
        let mut news = self.lock();
        if news.ended {
            return None;
        }
        news.asked.push(sender);
        self.arrived.notify_one();
        Some(receiver)
    }

    /// Answers those who asked first.
    pub fn answer(&self, count: usize, state: &Arc<PolicyState>) {
        let mut news = self.lock();
        let count = count.min(news.asked.len());
        for waiting in news.asked.drain(..count) {
            // Whoever hung up does not want to know.
            let _ = waiting.send(Arc::clone(state));
        }
    }

    /// It is over. Whoever waits is told so, also while the thread is at it: it may be running tests.
    pub fn end(&self) {
        let mut news = self.lock();
        news.ended = true;
        news.asked.clear();
        self.arrived.notify_one();
    }

    /// Waits for news, for at most `limit`.
    pub fn wait(&self, limit: Duration, gather: Gather) -> Woken {
        let nothing = |news: &mut News| news.changes == 0 && news.asked.is_empty() && !news.ended;
        let waited = self.arrived.wait_timeout_while(self.lock(), limit, nothing);
        let (mut news, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Woken::Time;
        }
        let begun = Instant::now();
        while !news.ended && news.asked.is_empty() && begun.elapsed() < gather.at_most {
            let before = news.changes;
            let more = |news: &mut News| news.changes == before && news.asked.is_empty() && !news.ended;
            let waited = self.arrived.wait_timeout_while(news, gather.quiet, more);
            let quiet;
            (news, quiet) = waited.unwrap_or_else(PoisonError::into_inner);
            if quiet.timed_out() {
                break;
            }
        }
        news.changes = 0;
        if news.ended {
            Woken::Ended
        } else if news.asked.is_empty() {
            Woken::Changes
        } else {
            Woken::Asked(news.asked.len())
        }
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
