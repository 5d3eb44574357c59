//! Following the tables: everything at the start, from then on what changed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    FeedOptions, Reach,
    watch::{Trouble, watched},
};
use crate::{
    decision::{Mount, SnapshotBuilder, Update, facts::Change},
    policy::Source,
    store::{ChangeFeed, DataPosition, Hint, Since},
    types::{Clock, ClockReading},
};

/// The first pause after a failure; each further one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A load says nothing while the database plans and sorts.
const LOAD_ANSWER_TIMES: u32 = 5;
/// So often in a row a change is found by asking alone before the notifications count as missing.
const MISSED_BEFORE_WARNING: u32 = 3;
/// Hints that come quicker are answered together: anybody may send them.
const SHORTEST_ROUND: Duration = Duration::from_millis(4);
/// Rows between two lines of progress.
const PROGRESS_STEP: u64 = 500_000;

/// Why the follower woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// The database said that something changed.
    Hint,
    /// A write of this process.
    Nudge,
    /// It was time to ask.
    Time,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Everything was loaded.
    Loaded,
    /// All changes so far were applied.
    CaughtUp,
    /// Changes cannot be told: everything is to be loaded.
    Lost,
}

/// Keeps what is live in step with the store's tables.
pub(super) struct Follower {
    feed: Box<dyn ChangeFeed>,
    reach: Reach,
    clock: Arc<dyn Clock>,
    options: FeedOptions,
    mounts: Arc<[Mount]>,
    position: Option<DataPosition>,
    /// Changes in a row that were found without a hint.
    missed: u32,
    failing_since: Option<ClockReading>,
    said_stale: bool,
}

impl Follower {
    pub(super) fn new(
        feed: Box<dyn ChangeFeed>,
        reach: &Reach,
        clock: Arc<dyn Clock>,
        options: FeedOptions,
        mounts: Arc<[Mount]>,
    ) -> Self {
        Self {
            feed,
            reach: reach.clone(),
            clock,
            options,
            mounts,
            position: None,
            missed: 0,
            failing_since: None,
            said_stale: false,
        }
    }

    /// Follows for ever.
    pub(super) async fn follow(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut woken = Woken::Time;
        loop {
            // Before the database is asked: what it answers is at least as new.
            let began = self.clock.reading();
            match self.step(woken).await {
                Ok(Step::Lost) => continue,
                // What took longer to load than it may be old is confirmed when what changed meanwhile has
                // been read.
                Ok(Step::Loaded) if self.clock.reading().since(began) > self.options.max_staleness => {}
                Ok(step) => {
                    self.reach.live.confirm(Source::Tables, began);
                    self.recovered();
                    pause = FIRST_PAUSE;
                    self.free();
                    // What changed during a load is already some seconds old.
                    woken = if step == Step::Loaded { Woken::Nudge } else { self.wait(began).await };
                }
                Err(trouble) => {
                    self.feed.disconnect();
                    self.failed(&trouble);
                    tokio::time::sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                    woken = Woken::Time;
                    // How it stood is not known: a change found now was not missed by a notification.
                    self.missed = 0;
                }
            }
        }
    }

    /// Frees what readers have let go of, without keeping changes waiting: it may be a million rows.
    fn free(&self) {
        let unused = self.reach.live.unused();
        if !unused.is_empty() {
            drop(tokio::task::spawn_blocking(move || drop(unused)));
        }
    }

    /// Waits for a reason to ask the database again.
    async fn wait(&mut self, began: ClockReading) -> Woken {
        let rest = SHORTEST_ROUND.saturating_sub(self.clock.reading().since(began));
        if !rest.is_zero() {
            // A write of this process is not kept waiting.
            tokio::select! {
                () = self.reach.nudge.notified() => return Woken::Nudge,
                () = tokio::time::sleep(rest) => {}
            }
        }
        tokio::select! {
            hint = self.feed.hint() => match hint {
                Ok(hints) if hints.contains(&Hint::Data) => Woken::Hint,
                Ok(_) => Woken::Time,
                Err(error) => {
                    tracing::warn!(error = %Trouble::from(error).with_causes(), "the listening connection ended: connecting again");
                    self.feed.disconnect();
                    Woken::Nudge
                }
            },
            () = self.reach.nudge.notified() => Woken::Nudge,
            () = tokio::time::sleep(self.options.poll_interval) => Woken::Time,
        }
    }

    /// Loads, or catches up.
    async fn step(&mut self, woken: Woken) -> Result<Step, Trouble> {
        let Some(position) = self.position.clone() else { return self.load().await };
        let mut changes: Vec<Change> = Vec::new();
        let progress = AtomicU64::new(0);
        let mut sink = |change| {
            progress.fetch_add(1, Ordering::Relaxed);
            changes.push(change);
        };
        let asking = self.feed.changes_since(&position, &mut sink);
        match watched(asking, &progress, self.options.answer_time).await? {
            Since::Nothing => {}
            Since::Advanced(reached) => {
                let status = &self.reach.status;
                status.updates.fetch_add(1, Ordering::Relaxed);
                status.changes.fetch_add(changes.len() as u64, Ordering::Relaxed);
                self.reach.live.publish(Update::Rows(changes.into(), reached.revision));
                self.position = Some(reached);
                self.count_missed(woken);
            }
            Since::Lost(because) => {
                tracing::warn!(because = because.as_str(), revision = %position.revision, "loading all decision data again");
                self.position = None;
                return Ok(Step::Lost);
            }
        }
        Ok(Step::CaughtUp)
    }

    async fn load(&mut self) -> Result<Step, Trouble> {
        let began = self.clock.reading();
        let rows = &self.reach.status.rows_loaded;
        rows.store(0, Ordering::Relaxed);
        let mut builder = SnapshotBuilder::new(Arc::clone(&self.mounts));
        let mut sink = |fact| {
            builder.add(fact);
            let rows = rows.fetch_add(1, Ordering::Relaxed) + 1;
            if rows.is_multiple_of(PROGRESS_STEP) {
                tracing::info!(rows, "loading decision data");
            }
        };
        let loading = self.feed.load(&mut sink);
        let position =
            watched(loading, rows, self.options.answer_time.saturating_mul(LOAD_ANSWER_TIMES)).await?;
        let snapshot = builder.finish(position.revision);
        let (tokens, revision) = (snapshot.token_count(), position.revision);
        self.reach.live.publish_snapshot(snapshot);
        self.reach.live.prepare();
        self.reach.status.loads.fetch_add(1, Ordering::Relaxed);
        self.position = Some(position);
        self.missed = 0;
        let took = self.clock.reading().since(began);
        tracing::info!(rows = rows.load(Ordering::Relaxed), tokens, %revision, ?took, "decision data loaded");
        Ok(Step::Loaded)
    }

    /// A connection can look alive and deliver nothing: then changes are found by asking alone.
    fn count_missed(&mut self, woken: Woken) {
        let missing = &self.reach.status.notifications_missing;
        match woken {
            Woken::Hint => {
                self.missed = 0;
                if missing.swap(false, Ordering::Relaxed) {
                    tracing::info!("notifications of changes arrive again");
                }
            }
            Woken::Time if self.feed.gives_hints() => {
                self.missed += 1;
                if self.missed >= MISSED_BEFORE_WARNING {
                    self.missed = 0;
                    self.feed.disconnect();
                    if !missing.swap(true, Ordering::Relaxed) {
                        tracing::warn!(
                            interval = ?self.options.poll_interval,
                            "no notification of changes arrives, they are found by asking at an interval: behind a pooler such as PgBouncer, set listener_url in [database]"
                        );
                    }
                }
            }
            Woken::Time | Woken::Nudge => {}
        }
    }

    fn failed(&mut self, trouble: &Trouble) {
        let status = &self.reach.status;
        status.failures.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.reading();
        let since = *self.failing_since.get_or_insert(now);
        // One line for each change of the matter, not one for each try.
        if status.set_problem(Some(trouble.code())) != Some(trouble.code()) {
            tracing::warn!(error = %trouble.with_causes(), "changes cannot be read: trying again");
        }
        let age = self.reach.live.age(now);
        if !self.said_stale && age.is_some_and(|age| age > self.options.max_staleness) {
            self.said_stale = true;
            tracing::error!(failing_for = ?now.since(since), "the data is stale: decisions are denied until changes can be read");
        }
    }

    fn recovered(&mut self) {
        self.said_stale = false;
        self.reach.status.set_problem(None);
        if let Some(since) = self.failing_since.take() {
            let lasted = self.clock.reading().since(since);
            tracing::info!(?lasted, "changes can be read again: the data is current");
        }
    }
}
