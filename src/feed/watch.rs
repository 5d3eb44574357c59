//! Giving up on what does not move.

use std::{
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{store::StoreError, types::causes};

/// What kept a feed from doing its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store said nothing.
    #[error("the database has not answered for {0:?}")]
    Silence(Duration),
    /// A row does not fit where it is to go.
    #[error("{0}")]
    Row(String),
}

impl Trouble {
    /// A stable name of the kind, for those who may not see more.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Silence(_) => "no_answer",
            Self::Row(_) => "unusable_row",
        }
    }

    /// The whole chain of causes.
    pub(super) fn with_causes(&self) -> String {
        causes(self).join(": ")
    }
}

/// Does `work` for as long as `progress` moves at least once in `limit`.
pub(super) async fn watched<T>(
    work: impl Future<Output = Result<T, StoreError>>,
    progress: &AtomicU64,
    limit: Duration,
) -> Result<T, Trouble> {
    let mut work = pin!(work);
    loop {
        let before = progress.load(Ordering::Relaxed);
        match tokio::time::timeout(limit, &mut work).await {
            Ok(done) => return Ok(done?),
            Err(_) if progress.load(Ordering::Relaxed) == before => return Err(Trouble::Silence(limit)),
            Err(_) => {}
        }
    }
}
