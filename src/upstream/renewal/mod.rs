//! Renews OAuth credentials before they expire, in the background.
//!
//! **Must never know:** who asks, and for what.
//!
//! Who renews a credential is decided by the store: of all processes that could, one is given it, and holds it for
//! longer than a renewal takes. So its refresh token, which many servers take once, is shown once.

mod keeper;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::rngs::StdRng;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use self::keeper::Keeper;
use super::KeyRing;
use crate::{
    store::upstreams::{CredentialKey, UpstreamStore},
    types::Clock,
};

/// Renewals at a time.
const AT_ONCE: usize = 8;
/// Nudges that wait. What is too much is found at the next interval.
const MOST_WAITING: usize = 256;

/// When to renew.
#[derive(Clone, Copy, Debug)]
pub struct RenewalSettings {
    /// How often to look.
    pub interval: Duration,
    /// How long before it expires a credential is renewed; of one that lives for a short time, the last third.
    pub margin: Duration,
    /// How long an authorization server is left alone that gave nothing, and up to half as long again by chance.
    pub pause: Duration,
}

impl Default for RenewalSettings {
    /// Every 15 s; 5 minutes; 30 s.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            margin: Duration::from_secs(5 * 60),
            pause: Duration::from_secs(30),
        }
    }
}

/// What came of the renewals of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenewalCounts {
    /// There is a new one.
    pub renewed: u64,
    /// The authorization server renews it no more: its holder has to consent anew.
    pub refused: u64,
    /// It will be tried again.
    pub failed: u64,
}

/// Asks for renewals. May be called from anywhere; nothing waits.
#[derive(Clone)]
pub struct Renewals {
    keeper: Arc<Keeper>,
    wanted: mpsc::Sender<Asked>,
    asked: Arc<Mutex<HashSet<CredentialKey>>>,
}

/// The renewing itself. Dropping it ends it at once, also in the middle of a renewal, whose refresh token may then be
/// lost: [`finish`](Self::finish) ends it well.
#[derive(Debug)]
#[must_use = "credentials are renewed for as long as this is held"]
pub struct RenewalWork {
    tasks: JoinSet<()>,
    stop: oneshot::Sender<()>,
}

impl Renewals {
    /// Begins to renew what is due. Needs a runtime.
    pub fn begin(
        store: Arc<dyn UpstreamStore>,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        settings: RenewalSettings,
        random: StdRng,
    ) -> (Self, RenewalWork) {
        let keeper = Arc::new(Keeper::new(store, keys, clock, settings, random));
        let (wanted, to_do) = mpsc::channel(MOST_WAITING);
        let (stop, stopped) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(keep(Arc::clone(&keeper), to_do, stopped));
        (Self { keeper, wanted, asked: Arc::default() }, RenewalWork { tasks, stop })
    }

    /// Has a credential renewed now if it is due, and it is not being renewed.
    pub fn nudge(&self, key: CredentialKey) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if !asked.insert(key.clone()) {
            return;
        }
        // What is not sent is dropped, and dropping it takes the lock.
        drop(asked);
        let _ = self.wanted.try_send(Asked { key, asked: Arc::clone(&self.asked) });
    }

    /// What came of the renewals so far.
    pub fn counts(&self) -> RenewalCounts {
        self.keeper.counts()
    }
}

impl RenewalWork {
    /// Begins no other renewal, and waits for those that were begun: 10 s for an authorization server, and 25 s for
    /// the store, at most.
    pub async fn finish(mut self) {
        let _ = self.stop.send(());
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A credential that was asked for. While this is there, nobody needs to ask again.
struct Asked {
    key: CredentialKey,
    asked: Arc<Mutex<HashSet<CredentialKey>>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Renews what is due and what is asked for until it is told to stop, and then finishes what it began.
async fn keep(keeper: Arc<Keeper>, mut to_do: mpsc::Receiver<Asked>, mut stopped: oneshot::Receiver<()>) {
    let mut at_work: JoinSet<()> = JoinSet::new();
    let mut ticks = interval(keeper.settings.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // There may be more that are due than were taken.
    let mut more = false;
    loop {
        let may_begin = at_work.len() < AT_ONCE;
        tokio::select! {
            told = &mut stopped => match told {
                Ok(()) => break,
                // The work was dropped, and this with it in a moment.
                Err(_) => return,
            },
            Some(_) = at_work.join_next() => {}
            _ = ticks.tick(), if may_begin => more = true,
            Some(asked) = to_do.recv(), if may_begin => {
                if let Some(renewal) = keeper.claim(Some(&asked.key), 1).await.pop() {
                    let keeper = Arc::clone(&keeper);
                    at_work.spawn(async move {
                        keeper.renew(&renewal).await;
                        drop(asked);
                    });
                }
            }
        }
        let free = AT_ONCE - at_work.len();
        if more && free > 0 {
            let due = keeper.claim(None, free).await;
            more = due.len() >= free;
            for renewal in due {
                let keeper = Arc::clone(&keeper);
                at_work.spawn(async move { keeper.renew(&renewal).await });
            }
        }
    }
    while at_work.join_next().await.is_some() {}
}
