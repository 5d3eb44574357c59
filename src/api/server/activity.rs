//! Whether a connection does anything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What happens on one connection: requests begin, and are answered.
///
/// HTTP/1 knows by itself when it is idle; an HTTP/2 connection, and one that has not said yet which it is, would stay
/// for ever.
#[derive(Debug, Default)]
pub(super) struct Activity {
    held: AtomicUsize,
    turns: AtomicUsize,
}

/// One request, until its answer is there.
#[derive(Debug)]
pub(super) struct HeldTurn(Arc<Activity>);

impl Activity {
    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> HeldTurn {
        self.held.fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        HeldTurn(Arc::clone(self))
    }

    /// Done when no request was held, began or ended for `time`; at the latest when twice that has gone by.
    pub(super) async fn idle(&self, time: Duration) {
        loop {
            let before = self.turns.load(Ordering::Relaxed);
            tokio::time::sleep(time).await;
            let quiet = self.turns.load(Ordering::Relaxed) == before;
            if quiet && self.held.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }
}

impl Drop for HeldTurn {
    fn drop(&mut self) {
        self.0.turns.fetch_add(1, Ordering::Relaxed);
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}
