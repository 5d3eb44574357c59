//! Keeping an issuer's keys up to date, in the background.

use std::{sync::Arc, time::Duration};

use super::issuer::{Change, Issuer};
use crate::types::Clock;

/// How soon a failure is followed by the next try; twice as long each time, up to the most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Reads the keys now, at the issuer's interval, and when one is wanted that is not there. Never ends. Keys
/// that cannot be read leave the last ones in force.
pub(super) async fn keep(issuer: Arc<Issuer>, clock: Arc<dyn Clock>) {
    let mut said = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let tried = clock.uptime();
        let wait = match refresh(&issuer, &*clock, &mut said).await {
            true => {
                pause = FIRST_PAUSE;
                issuer.settings.refresh_interval
            }
            false => {
                let wait = pause.min(issuer.settings.refresh_interval);
                pause = (pause * 2).min(LONGEST_PAUSE);
                wait
            }
        };
        let rest_of = |time: Duration| time.saturating_sub(clock.uptime().saturating_sub(tried));
        tokio::select! {
            () = tokio::time::sleep(rest_of(wait)) => {}
            () = async {
                issuer.wanted.notified().await;
                tokio::time::sleep(rest_of(issuer.settings.refetch_limit)).await;
            } => {}
        }
    }
}

/// Reads the keys once. What went wrong is said in the log when it is not what was `said` last.
pub(super) async fn refresh(issuer: &Issuer, clock: &dyn Clock, said: &mut Option<String>) -> bool {
    let name = issuer.settings.issuer.as_str();
    match issuer.source.read(&issuer.settings.algorithms).await {
        Ok(keys) => {
            if said.take().is_some() {
                tracing::info!(issuer = name, "the issuer's keys can be read again");
            }
            match issuer.put(keys, clock.reading()) {
                Change::None => {}
                Change::Keys(0) => {
                    tracing::warn!(
                        issuer = name,
                        "the issuer has withdrawn all its keys: its sessions are refused"
                    );
                }
                Change::Keys(count) => tracing::info!(issuer = name, count, "the issuer has new keys"),
            }
            true
        }
        Err(error) => {
            issuer.count_failure();
            let problem = error.to_string();
            if said.as_ref() != Some(&problem) {
                if issuer.age(clock.reading()).is_some() {
                    tracing::warn!(issuer = name, %problem, "the issuer's keys cannot be read; the last ones stay in force");
                } else {
                    tracing::warn!(
                        issuer = name,
                        %problem,
                        "the issuer's keys cannot be read, and never were: its sessions are refused \
                         (session.keys_unavailable) until they can"
                    );
                }
                *said = Some(problem);
            }
            false
        }
    }
}
