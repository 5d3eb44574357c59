//! Renews OAuth credentials before they expire, in the background.
//!
//! **Must never know:** who asks, and for what.
//!
//! Who renews a credential is decided by the store: of all processes that could, one is given it, and holds it for
//! longer than a renewal takes. So its refresh token, which many servers take once, is shown once.
//!
//! What is due is claimed in pages until nothing is: what was claimed once is not due for a while, so that many that
//! cannot be renewed do not hide one that can. Which of what was claimed begins, and when, is in `lines`.

mod keeper;
mod lines;
mod pauses;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::rngs::StdRng;
use tokio::{
    sync::{mpsc, oneshot},
    task::{self, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};

use self::{
    keeper::{Claimed, Keeper},
    lines::{Lines, Place, Waiting},
};
use super::{KeyRing, Loopback};
use crate::{
    store::upstreams::{CredentialKey, UpstreamStore},
    types::Clock,
};

/// Renewals that are claimed at a time.
const PAGE: usize = 32;
/// Nudges that wait. What is too much is found at the next interval.
const MOST_WAITING: usize = 256;
/// How long nobody looks again for what was not to be renewed: each look is a transaction that writes.
const NOTHING_TIME: Duration = Duration::from_secs(30);
/// Of how many that is known.
const MOST_REMEMBERED: usize = 4_096;

/// When to renew.
#[derive(Clone, Copy, Debug)]
pub struct RenewalSettings {
    /// How often to look.
    pub interval: Duration,
    /// How long before it expires a credential is renewed; of one that lives for a short time, the last third.
    pub margin: Duration,
    /// How long an authorization server is left alone that cannot be reached, the first time; each time twice as long,
    /// up to 10 minutes. How long a credential is that it did not renew for another reason. Both are up to half as long
    /// again by chance.
    pub pause: Duration,
    /// How long the end waits for renewals that are under way.
    pub patience: Duration,
    /// Whether authorization servers may be on this machine.
    pub loopback: Loopback,
}

impl Default for RenewalSettings {
    /// Every 5 s; 5 minutes; 30 s; 12 s.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            margin: Duration::from_secs(5 * 60),
            pause: Duration::from_secs(30),
            patience: Duration::from_secs(12),
            loopback: Loopback::default(),
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
    asking: Arc<Mutex<Asking>>,
}

/// Who asks, and need not.
#[derive(Default)]
struct Asking {
    /// What was asked for and waits.
    asked: HashSet<CredentialKey>,
    /// Where there was nothing to renew, and the uptime from which on it is looked for again.
    nothing: HashMap<CredentialKey, Duration>,
}

impl Asking {
    /// Whether this has to be looked for; then it is asked for.
    fn ask(&mut self, key: &CredentialKey, uptime: Duration) -> bool {
        match self.nothing.get(key) {
            Some(again) if uptime < *again => return false,
            Some(_) => drop(self.nothing.remove(key)),
            None => {}
        }
        self.asked.insert(key.clone())
    }

    fn found_nothing(&mut self, key: &CredentialKey, uptime: Duration) {
        if self.nothing.len() >= MOST_REMEMBERED {
            self.nothing.retain(|_, again| uptime < *again);
        }
        // Then each is looked for once more, and no memory is taken.
        if self.nothing.len() >= MOST_REMEMBERED {
            self.nothing.clear();
        }
        self.nothing.insert(key.clone(), uptime + NOTHING_TIME);
    }
}

fn lock(asking: &Mutex<Asking>) -> MutexGuard<'_, Asking> {
    asking.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The renewing itself. Dropping it ends it at once, also in the middle of a renewal, whose refresh token may then be
/// lost: [`finish`](Self::finish) ends it well.
#[must_use = "credentials are renewed for as long as this is held"]
pub struct RenewalWork {
    keeper: Arc<Keeper>,
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
        let work = RenewalWork { keeper: Arc::clone(&keeper), tasks, stop };
        (Self { keeper, wanted, asking: Arc::default() }, work)
    }

    /// Has a credential renewed now if it is due, and it is not being renewed.
    pub fn nudge(&self, key: CredentialKey) {
        // What is not sent is dropped, and dropping it takes the lock.
        if lock(&self.asking).ask(&key, self.keeper.uptime()) {
            let _ = self.wanted.try_send(Asked { key, asking: Arc::clone(&self.asking) });
        }
    }

    /// What came of the renewals so far.
    pub fn counts(&self) -> RenewalCounts {
        self.keeper.counts()
    }
}

impl RenewalWork {
    /// Begins no other renewal, and waits for those that were begun, for [`RenewalSettings::patience`] at most. Those
    /// that were not over by then are given up, which is said.
    pub async fn finish(mut self) {
        let _ = self.stop.send(());
        let over = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(self.keeper.settings.patience, over).await.is_err() {
            for CredentialKey { tenant, upstream_id, holder } in self.keeper.under_way() {
                tracing::warn!(
                    %tenant, upstream = upstream_id, holder = holder.kind().as_str(), holder_id = holder.id(),
                    "the renewal of a credential is given up: the process ends, and nobody answered in time"
                );
            }
        }
    }
}

/// A credential that was asked for. While this is there, nobody needs to ask again.
struct Asked {
    key: CredentialKey,
    asking: Arc<Mutex<Asking>>,
}

impl Asked {
    fn found_nothing(self, uptime: Duration) {
        lock(&self.asking).found_nothing(&self.key, uptime);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        lock(&self.asking).asked.remove(&self.key);
    }
}

/// The renewals that were claimed.
struct Work {
    keeper: Arc<Keeper>,
    lines: Lines,
    at_work: JoinSet<()>,
    places: HashMap<task::Id, Place>,
    /// What is given back. No more is claimed meanwhile: the store is not to be filled with claims and their return.
    letting_go: JoinSet<()>,
}

/// Renews what is due and what is asked for until it is told to stop, and then finishes what it began.
async fn keep(keeper: Arc<Keeper>, mut to_do: mpsc::Receiver<Asked>, mut stopped: oneshot::Receiver<()>) {
    let mut ticks = interval(keeper.settings.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = Work::new(keeper);
    // There may be more that are due than were taken.
    let mut more = false;
    loop {
        let may_claim = more && work.letting_go.is_empty();
        tokio::select! {
            told = &mut stopped => match told {
                Ok(()) => break,
                // The work was dropped, and this with it in a moment.
                Err(_) => return,
            },
            Some(ended) = work.at_work.join_next_with_id() => {
                work.ended(ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            Some(_) = work.letting_go.join_next() => {}
            _ = ticks.tick() => more = true,
            Some(asked) = to_do.recv() => work.hurry(asked).await,
            () = std::future::ready(()), if may_claim => {
                let due = work.keeper.claim(None, PAGE).await.unwrap_or_default();
                more = due.len() >= PAGE;
                work.take(due.into_iter().map(|claimed| Waiting { claimed, asked: None }));
            }
        }
        work.begin();
    }
    while work.at_work.join_next().await.is_some() {}
}

impl Work {
    fn new(keeper: Arc<Keeper>) -> Self {
        let (at_work, letting_go) = (JoinSet::new(), JoinSet::new());
        Self { keeper, lines: Lines::default(), at_work, places: HashMap::new(), letting_go }
    }

    /// Has what was claimed wait for its turn, or lets it go where nobody is to be asked.
    fn take(&mut self, claimed: impl Iterator<Item = Waiting>) {
        let mut paused = Vec::new();
        for waiting in claimed {
            match self.keeper.pause_of(&waiting.claimed.endpoint()) {
                Some(_) => paused.push(waiting),
                None => self.lines.put(waiting),
            }
        }
        self.let_go(paused);
    }

    /// Looks at once for what somebody waits for.
    async fn hurry(&mut self, asked: Asked) {
        let key = asked.key.clone();
        let Err(asked) = self.lines.hurry(&key, asked) else { return };
        match self.keeper.claim(Some(&key), 1).await.map(|mut claimed: Vec<Claimed>| claimed.pop()) {
            Some(Some(claimed)) => self.take(std::iter::once(Waiting { claimed, asked: Some(asked) })),
            Some(None) => asked.found_nothing(self.keeper.uptime()),
            None => {}
        }
    }

    /// Begins what may begin.
    fn begin(&mut self) {
        while let Some((Waiting { claimed, asked }, place)) = self.lines.next() {
            let keeper = Arc::clone(&self.keeper);
            let task = self.at_work.spawn(async move {
                keeper.renew(&claimed).await;
                drop(asked);
            });
            self.places.insert(task.id(), place);
        }
    }

    /// One is over. What waits for a server that turned out to be out of reach is let go.
    fn ended(&mut self, task: task::Id) {
        let Some(place) = self.places.remove(&task) else { return };
        self.lines.give_back(&place);
        if self.keeper.pause_of(&place.endpoint).is_some() {
            let waiting = self.lines.clear(&place.endpoint);
            self.let_go(waiting);
        }
    }

    fn let_go(&mut self, waiting: Vec<Waiting>) {
        if !waiting.is_empty() {
            let keeper = Arc::clone(&self.keeper);
            self.letting_go.spawn(async move { keeper.let_go(waiting).await });
        }
    }
}
