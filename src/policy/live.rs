//! What decisions are made from at this moment, and how old it is.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    decision::{Basis, Bundle, Snapshot, Update},
    types::{ClockReading, DataRevision},
};

/// So often, and each time this long, an update waits for a reader that is still in the copy which is to be
/// changed. A decision takes microseconds, but its thread may have lost its core in the middle; to go
/// round it is to copy whole documents, which takes longer where it matters, and memory.
const READER_PAUSES: u32 = 50;
const READER_PAUSE: Duration = Duration::from_micros(100);

/// The live policy and data. Readers take both together, without a lock, and keep what they took for
/// as long as they need it; one writer at a time puts a new pair in its place.
///
/// There are two copies of the data that differ in the last update, and share what neither changed.
/// Readers are given one; the next update goes into the other, in place, which nobody looks at any
/// more, and the two change parts. So an update costs what it changes, however much data there is.
#[derive(Debug)]
pub struct Live {
    basis: ArcSwap<Basis>,
    writer: Mutex<Writer>,
    /// `None` until everything is loaded.
    revision: watch::Sender<Option<DataRevision>>,
    /// When the data of each source was last known to be all there is; `None` before its first load.
    /// The tables come first, then the organisation's own documents.
    confirmed: Box<[ArcSwapOption<ClockReading>]>,
}

/// Where data comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// regate's own tables.
    Tables,
    /// One of the organisation's own documents, by its place in the list of mounts.
    Document(usize),
}

/// The policy and data that a reader took.
pub type LiveBasis = Guard<Arc<Basis>>;

/// What the writers keep from one update to the next.
#[derive(Debug, Default)]
struct Writer {
    /// The other copy, and what it lacks.
    other: Option<(Arc<Basis>, Update)>,
    /// Copies that a reader still held when the writer was through with them, and what a load replaced. They
    /// are freed from here: a reader that comes back last should not be the one to free a million rows.
    held: Vec<Arc<Basis>>,
}

/// The data revision that was asked for did not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("data revision {wanted} has not come: this process has {present}")]
pub struct RevisionTimeout {
    /// What was asked for.
    pub wanted: DataRevision,
    /// What is here.
    pub present: DataRevision,
}

impl Live {
    /// Begins with this policy and this data, which counts as not loaded until each source of it was
    /// confirmed ([`confirm`](Self::confirm)).
    pub fn new(bundle: Arc<Bundle>, snapshot: Snapshot) -> Self {
        let sources = 1 + snapshot.mounts().len();
        Self {
            basis: ArcSwap::from_pointee(Basis::new(bundle, snapshot)),
            writer: Mutex::default(),
            revision: watch::Sender::new(None),
            confirmed: (0..sources).map(|_| ArcSwapOption::empty()).collect(),
        }
    }

    /// The policy and the data of this moment.
    pub fn basis(&self) -> LiveBasis {
        self.basis.load()
    }

    /// How old the data may be at most: how long ago that source which was confirmed the longest time
    /// ago was known to be all there is. `None` before everything was loaded.
    pub fn age(&self, now: ClockReading) -> Option<Duration> {
        let mut oldest = Duration::ZERO;
        for confirmed in &self.confirmed {
            oldest = oldest.max(now.since(**confirmed.load().as_ref()?));
        }
        Some(oldest)
    }

    /// Says that what was published last of a source was all there was at `when`. To be called after it
    /// was published, with a moment before the store was asked.
    pub fn confirm(&self, source: Source, when: ClockReading) {
        let place = match source {
            Source::Tables => 0,
            Source::Document(place) => place + 1,
        };
        if let Some(confirmed) = self.confirmed.get(place) {
            confirmed.store(Some(Arc::new(when)));
        }
        if self.is_loaded() {
            let present = self.basis.load().snapshot().revision();
            self.revision.send_if_modified(|revision| revision.replace(present) != Some(present));
        }
    }

    /// Whether everything was loaded, however long ago.
    pub fn is_loaded(&self) -> bool {
        self.confirmed.iter().all(|confirmed| confirmed.load().is_some())
    }

    /// Waits until everything was loaded for the first time.
    pub async fn loaded(&self) {
        // The sender lives as long as we do.
        let _ = self.revision.subscribe().wait_for(Option::is_some).await;
    }

    /// Replaces the rows of the tables. When this returns, every later decision is made from them. The
    /// organisation's own documents stay as they are.
    pub fn publish_snapshot(&self, mut snapshot: Snapshot) {
        let mut writer = self.writer();
        let present = self.basis.load_full();
        snapshot.keep_mounted(present.snapshot());
        let bundle = Arc::clone(present.bundle());
        drop(present);
        let before = self.basis.swap(Arc::new(Basis::new(bundle, snapshot)));
        writer.held.push(before);
        let other = writer.other.take().map(|(other, _)| other);
        writer.held.extend(other);
    }

    /// Brings the data one step on. When this returns, every later decision is made from it. May wait some
    /// milliseconds for a reader: not for a thread that decides.
    pub fn publish(&self, update: Update) {
        let mut writer = self.writer();
        let mut next = match writer.other.take() {
            None => self.copy(),
            Some((other, lacking)) => match alone(other) {
                Ok(mut other) => {
                    other.update(&lacking);
                    other
                }
                Err(held) => {
                    writer.held.push(held);
                    self.copy()
                }
            },
        };
        next.update(&update);
        let before = self.basis.swap(Arc::new(next));
        writer.other = Some((before, update));
    }

    /// Puts another policy in the place of the present one. When this returns, every later decision is made
    /// by it. May wait some milliseconds for a reader, and meanwhile holds up updates of the data; a reader
    /// never waits.
    ///
    /// INVARIANT: both copies end with the new bundle, and whoever publishes takes the bundle that is live
    /// under the same lock: no update brings an old bundle back.
    pub fn activate(&self, bundle: &Arc<Bundle>) {
        let mut writer = self.writer();
        let other = writer.other.take().map(|(other, lacking)| (alone(other), lacking));
        let (mut next, two_copies) = match other {
            Some((Ok(mut other), lacking)) => {
                other.update(&lacking);
                (other, true)
            }
            Some((Err(held), _)) => {
                writer.held.push(held);
                (self.copy(), false)
            }
            None => (self.copy(), false),
        };
        next.activate(Arc::clone(bundle));
        let revision = next.snapshot().revision();
        let before = self.basis.swap(Arc::new(next));
        // What was live becomes the other copy, unless it shares its documents with what is live now: then
        // an update would copy them anyway.
        match alone(before) {
            Ok(mut before) if two_copies => {
                before.activate(Arc::clone(bundle));
                writer.other = Some((Arc::new(before), Update::Rows(Arc::default(), revision)));
            }
            Ok(shared) => drop(shared),
            Err(held) => writer.held.push(held),
        }
    }

    /// Makes the other copy of the data, which the first update would have to make: after everything was
    /// loaded, by whoever loaded it.
    pub fn prepare(&self) {
        let mut writer = self.writer();
        let present = self.basis.load_full();
        let nothing = Update::Rows(Arc::default(), present.snapshot().revision());
        let unused = writer.other.replace((Arc::new(present.detached()), nothing));
        writer.held.extend(unused.map(|(other, _)| other));
    }

    /// A copy that shares everything: what the next update changes will be copied then.
    fn copy(&self) -> Basis {
        Basis::clone(&self.basis.load())
    }

    /// What readers still held when it was replaced, and have let go of since. To be called now and then
    /// by whoever publishes, and dropped where it keeps nobody waiting.
    pub fn unused(&self) -> Vec<Arc<Basis>> {
        self.writer().held.extract_if(.., |basis| Arc::strong_count(basis) == 1).collect()
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this process has the data revision `wanted`, for at most `limit`.
    ///
    /// # Errors
    /// [`RevisionTimeout`] when it has not come by then.
    pub async fn wait_for_revision(
        &self,
        wanted: DataRevision,
        limit: Duration,
    ) -> Result<(), RevisionTimeout> {
        if self.basis.load().snapshot().revision() >= wanted {
            return Ok(());
        }
        let mut revisions = self.revision.subscribe();
        let reached = revisions.wait_for(|present| *present >= Some(wanted));
        match tokio::time::timeout(limit, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                Err(RevisionTimeout { wanted, present: self.basis.load().snapshot().revision() })
            }
        }
    }
}

/// The copy for ourselves, once its last readers have let go of it; or the copy as it is, when they take
/// too long.
fn alone(mut basis: Arc<Basis>) -> Result<Basis, Arc<Basis>> {
    for _ in 0..READER_PAUSES {
        match Arc::try_unwrap(basis) {
            Ok(basis) => return Ok(basis),
            Err(held) => basis = held,
        }
        thread::sleep(READER_PAUSE);
    }
    Err(basis)
}
