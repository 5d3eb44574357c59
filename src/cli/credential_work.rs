//! What `serve` does about upstream credentials beside the answers: their keys, their renewal, their end.

use std::{sync::Arc, time::Duration};

use super::{configuration::Configuration, exit::CommandError, metrics::number, store::randomness};
use crate::{
    store::upstreams::UpstreamStore,
    telemetry::Metrics,
    types::Clock,
    upstream::{
        self, Background, Credentials, KeyFileWatch, KeyRing, RenewalCounts, RenewalSettings, RenewalWork,
        Renewals,
    },
};

/// How often the file of keys is looked at. `regate credentials rekey` counts on it.
pub(super) const KEY_FILE_INTERVAL: Duration = Duration::from_secs(1);

/// The work, and what takes credentials. It goes on until it is [finished](Self::finish).
pub(super) struct CredentialWork {
    credentials: Arc<Credentials>,
    renewals: Option<(Renewals, RenewalWork)>,
    watch: Option<Arc<KeyFileWatch>>,
    _sweep: Background,
}

impl CredentialWork {
    /// Begins it, over a store whose writes this process decides from when they return. Without keys nothing is renewed.
    pub(super) fn begin(
        configuration: &Configuration,
        store: &Arc<dyn UpstreamStore>,
        keys: Option<&Arc<KeyRing>>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, CommandError> {
        let settings = configuration.credential_settings();
        let credentials = Credentials::new(Arc::clone(store), keys.cloned(), settings, randomness()?);
        let renewals = match keys {
            None => None,
            Some(keys) => {
                let settings = configuration.renewal_settings();
                let (keys, clock) = (Arc::clone(keys), Arc::clone(clock));
                Some(Renewals::begin(Arc::clone(store), keys, clock, settings, randomness()?))
            }
        };
        let watch = keys.map(|keys| {
            let (keys, store) = (Arc::clone(keys), Arc::clone(store));
            Arc::new(upstream::keep_keys(keys, store, KEY_FILE_INTERVAL))
        });
        let sweep =
            upstream::keep_swept(Arc::clone(store), Arc::clone(clock), configuration.sweep_settings());
        Ok(Self { credentials: Arc::new(credentials), renewals, watch, _sweep: sweep })
    }

    /// What takes credentials.
    pub(super) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials)
    }

    /// Who is asked to renew a credential that is needed now.
    pub(super) fn renewals(&self) -> Option<Renewals> {
        self.renewals.as_ref().map(|(renewals, _)| renewals.clone())
    }

    /// The numbers of it.
    pub(super) fn show(&self, metrics: &mut Metrics) {
        for (outcome, read) in [
            ("renewed", (|counts| counts.renewed) as fn(RenewalCounts) -> u64),
            ("refused", |counts| counts.refused),
            ("failed", |counts| counts.failed),
        ] {
            let renewals = self.renewals();
            metrics.labelled_counter(
                "credential_renewals",
                "Renewals of upstream credentials by what came of them",
                [("outcome", outcome.to_owned())],
                move || renewals.as_ref().map_or(0.0, |renewals| number(read(renewals.counts()))),
            );
        }
        let watch = self.watch.clone();
        metrics.gauge(
            "credential_keys_failing",
            "1 while the file of keys cannot be used, and the last keys stay in force",
            move || if watch.as_ref().is_some_and(|watch| watch.is_failing()) { 1.0 } else { 0.0 },
        );
    }

    /// Begins no other renewal, and waits for those that are under way, and for codes that are
    /// being exchanged, for 12 s: their refresh tokens may be good for once.
    pub(super) async fn finish(self) {
        let renewals = async {
            if let Some((_, work)) = self.renewals {
                work.finish().await;
            }
        };
        tokio::join!(renewals, self.credentials.finish(RenewalSettings::default().patience));
    }
}
