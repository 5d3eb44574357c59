//! What decisions are made from at this moment.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    decision::{Basis, Bundle, Snapshot},
    types::DataRevision,
};

/// The live policy and data. Readers take both together, without a lock, and keep what they took for
/// as long as they need it; one writer at a time puts a new pair in its place.
#[derive(Debug)]
pub struct Live {
    basis: ArcSwap<Basis>,
    writer: Mutex<()>,
    revision: watch::Sender<DataRevision>,
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
    /// Begins with this policy and this data.
    pub fn new(bundle: Arc<Bundle>, snapshot: Arc<Snapshot>) -> Self {
        let revision = watch::Sender::new(snapshot.revision());
        let basis = ArcSwap::from_pointee(Basis::new(bundle, snapshot));
        Self { basis, writer: Mutex::new(()), revision }
    }

    /// The policy and the data of this moment.
    pub fn basis(&self) -> Guard<Arc<Basis>> {
        self.basis.load()
    }

    /// Replaces the data. When this returns, every later decision is made from it.
    pub fn publish_snapshot(&self, snapshot: Arc<Snapshot>) {
        let revision = snapshot.revision();
        {
            let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let bundle = Arc::clone(self.basis.load().bundle());
            self.basis.store(Arc::new(Basis::new(bundle, snapshot)));
        }
        self.revision.send_replace(revision);
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
        let reached = revisions.wait_for(|present| *present >= wanted);
        match tokio::time::timeout(limit, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                Err(RevisionTimeout { wanted, present: self.basis.load().snapshot().revision() })
            }
        }
    }
}
