//! From the store's changes to what decisions are made from.
//!
//! **For:** loading the decision data at the start, following every change from then on, whoever makes
//! it, and saying how old the data is. [`Feed::start`] does it on a thread of its own, so that loading a
//! million rows takes no time from questions, and ends with the [`Feed`]. [`LiveStore`] makes a write
//! through this process visible to its decisions before the write returns. [`OwnDocument`]s bring rows
//! of the organisation's own tables.
//!
//! **Must never know:** HTTP, SQL, Rego, what a row means.
//!
//! **How:** a notification of the database is a hint, the position it gives when asked is the truth, and
//! it is asked at a short interval whatever the hints do. Each time the database says that nothing is
//! missing, the data is confirmed as of the moment before it was asked
//! ([`Live::confirm`](crate::policy::Live::confirm)). Whatever goes wrong here, the effect is the same:
//! no confirmation, the data grows older, and beyond its bound decisions are denied.
//!
//! **To add one more** source of data: a [`Source`](crate::policy::Source), and a task like `documents`
//! that publishes and confirms it.

mod documents;
mod follower;
mod live_decisions;
mod live_store;
mod live_upstreams;
mod status;
mod watch;

use std::{io, pin::Pin, sync::Arc, thread, time::Duration};

use tokio::sync::{Notify, watch as channel};

pub use documents::{OwnDocument, TenantOfRow};
pub use live_store::LiveStore;
pub use status::{DocumentStatus, FeedStatus};

use crate::{
    policy::{Live, RevisionTimeout},
    store::Store,
    types::{Clock, DataRevision},
};

/// How a [`Feed`] goes about it.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// How often the database is asked, hints or not.
    pub poll_interval: Duration,
    /// How long it may take to say something before the connection is given up.
    pub answer_time: Duration,
    /// How old the data may become before decisions are denied; here it only bounds how long a write
    /// waits for its own effect.
    pub max_staleness: Duration,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(500),
            answer_time: Duration::from_secs(2),
            max_staleness: Duration::from_secs(10),
        }
    }
}

/// The running feed of this process.
#[derive(Debug)]
pub struct Feed {
    reach: Reach,
    stop: channel::Sender<bool>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// What others may ask of a running feed.
#[derive(Clone, Debug)]
pub struct Reach {
    live: Arc<Live>,
    status: Arc<FeedStatus>,
    nudge: Arc<Notify>,
    max_staleness: Duration,
}

impl Feed {
    /// Begins to load and follow `store` into `live`, and returns at once: [`Feed::loaded`] waits.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(
        store: Arc<dyn Store>,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
        options: FeedOptions,
        documents: Vec<OwnDocument>,
    ) -> io::Result<Self> {
        let status = Arc::new(FeedStatus::new(&documents));
        let nudge = Arc::new(Notify::new());
        let reach = Reach { live, status, nudge: Arc::clone(&nudge), max_staleness: options.max_staleness };
        let (stop, stopped) = channel::channel(false);
        let mut threads = Vec::new();
        let mut start = |name: &str, work: Vec<Work>| -> io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let stopped = stopped.clone();
            threads.push(thread::Builder::new().name(name.to_owned()).spawn(move || {
                runtime.block_on(run(work, stopped));
                // A connection that hangs must not keep the process from ending.
                runtime.shutdown_background();
            })?);
            Ok(())
        };
        let mounts = documents.iter().map(|document| document.mount.clone()).collect();
        let follower = follower::Follower::new(store.feed(&[]), &reach, Arc::clone(&clock), options, mounts);
        start("regate-feed", vec![Box::pin(follower.follow())])?;
        // On a thread of their own: to bring a hundred thousand rows into shape must not hold up a revocation.
        let kept = documents.into_iter().enumerate().map(|(place, document)| -> Work {
            let channels: Vec<String> = document.channel.iter().cloned().collect();
            let feed = store.feed(&channels);
            Box::pin(documents::keep(document, place, feed, reach.clone(), Arc::clone(&clock), options))
        });
        let kept: Vec<Work> = kept.collect();
        if !kept.is_empty() {
            start("regate-documents", kept)?;
        }
        Ok(Self { reach, stop, threads })
    }

    /// What others may ask of it.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Waits until all data has been loaded for the first time.
    pub async fn loaded(&self) {
        self.reach.live.loaded().await;
    }

    /// Ends it, also in the middle of a load.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // It cannot have panicked in a way that matters now.
            let _ = thread.join();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end();
    }
}

impl Reach {
    /// How the feed is doing.
    pub fn status(&self) -> &FeedStatus {
        &self.status
    }

    /// Looks for changes now, if there are any, and waits until this process decides from `revision` or a later one.
    ///
    /// # Errors
    /// [`RevisionTimeout`] when it does not within this time.
    pub async fn wait_for(&self, revision: DataRevision, within: Duration) -> Result<(), RevisionTimeout> {
        if self.live.basis().snapshot().revision() < revision {
            self.nudge.notify_one();
        }
        self.live.wait_for_revision(revision, within).await
    }

    /// Returns when no decision of this process is made from data older than `revision` any more:
    /// because it has been read, or because the data has become so old that decisions are denied.
    pub async fn catch_up(&self, revision: DataRevision) {
        // Either way decisions are right from here on.
        let _ = self.wait_for(revision, self.max_staleness).await;
    }
}

/// Something that goes on for ever.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Does all of it until it is told to stop.
async fn run(work: Vec<Work>, mut stopped: channel::Receiver<bool>) {
    let mut tasks: tokio::task::JoinSet<()> = work.into_iter().collect();
    tokio::select! {
        // The sender is held by the `Feed`: an error means that it is gone.
        _ = stopped.wait_for(|stop| *stop) => {}
        // None of them ends by itself.
        Some(ended) = tasks.join_next() => {
            if let Err(error) = ended {
                tracing::error!(%error, "the feed of changes ended: the data grows stale until a restart");
            }
        }
    }
}
