//! Takes away what nobody can use any more: credentials that lost their grant long ago, flows whose time is over.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::Background;
use crate::{
    store::{
        StoreError,
        upstreams::{Swept, UpstreamStore},
    },
    types::{Clock, causes},
};

/// For how long a flow whose time is over is known still: whoever comes late is told so, and not that there is none.
const FLOW_KEPT: Duration = Duration::from_secs(60 * 60);

/// When to sweep, and what.
#[derive(Clone, Copy, Debug)]
pub struct SweepSettings {
    /// How often.
    pub interval: Duration,
    /// For how long a credential waits for its grant to come back.
    pub orphaned_age: Duration,
}

impl Default for SweepSettings {
    /// Every minute; 30 days.
    fn default() -> Self {
        Self { interval: Duration::from_secs(60), orphaned_age: Duration::from_secs(30 * 24 * 60 * 60) }
    }
}

/// Sweeps once.
///
/// # Errors
/// The store's.
pub async fn sweep(
    store: &dyn UpstreamStore,
    clock: &dyn Clock,
    settings: &SweepSettings,
) -> Result<Swept, StoreError> {
    let now = clock.now();
    store.sweep_credentials(now.earlier_by(settings.orphaned_age), now.earlier_by(FLOW_KEPT)).await
}

/// Sweeps now and at the interval. Any number of processes may. Needs a runtime.
pub fn keep_swept(
    store: Arc<dyn UpstreamStore>,
    clock: Arc<dyn Clock>,
    settings: SweepSettings,
) -> Background {
    Background::begin(async move {
        let mut ticks = interval(settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = None;
        loop {
            ticks.tick().await;
            match sweep(&*store, &*clock, &settings).await {
                Ok(swept) => {
                    said = None;
                    if swept != Swept::default() {
                        let Swept { credentials, flows } = swept;
                        tracing::info!(
                            credentials,
                            flows,
                            "credentials that were orphaned for too long and expired flows are gone"
                        );
                    }
                }
                Err(error) => {
                    let problem = causes(&error).join(": ");
                    if said.as_ref() != Some(&problem) {
                        tracing::warn!(%problem, "orphaned credentials and expired flows could not be swept");
                        said = Some(problem);
                    }
                }
            }
        }
    })
}
