//! Where decisions are recorded, before they are answered.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use thiserror::Error;

use super::{
    describe::{Asked, Took, describe},
    settings::RecordedParts,
    spool::{NotAppended, Spool},
};
use crate::decision::Decision;

/// Records decisions. The mode `off` has none of these.
#[derive(Debug)]
pub struct Recorder {
    spool: Arc<Spool>,
    parts: RecordedParts,
    kept: AtomicU64,
    broken: AtomicU64,
}

/// A decision cannot be recorded, and must not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the decision cannot be recorded")]
pub struct NotRecorded(#[from] NotAppended);

/// Room for the compact form of a usual record.
const USUAL_BYTES: usize = 512;

impl Recorder {
    /// Records into this spool.
    pub fn new(spool: Arc<Spool>, parts: RecordedParts) -> Self {
        Self { spool, parts, kept: AtomicU64::new(0), broken: AtomicU64::new(0) }
    }

    /// Records a decision. When this is done, what the spool promises holds.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub fn record<'s>(
        &'s self,
        asked: Asked<'_>,
        decision: &Decision,
        took: Took,
    ) -> impl Future<Output = Result<(), NotRecorded>> + Send + use<'s> {
        let mut compact = Vec::with_capacity(USUAL_BYTES);
        let written = describe(asked, decision, took, &self.parts).write_compact(&mut compact);
        async move {
            let appended = match written {
                Ok(()) => self.spool.append(&compact).await,
                Err(_) => Err(NotAppended::Failed),
            };
            let counter = if appended.is_ok() { &self.kept } else { &self.broken };
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(appended?)
        }
    }

    /// So many decisions were recorded before they were answered.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// So many were denied because they could not be.
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    /// The spool.
    pub const fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }
}
