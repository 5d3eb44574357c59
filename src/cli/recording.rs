//! The decision log of `serve`: begun before anybody is answered, and ended after the last answer.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use uuid::Uuid;

use super::{
    configuration::{Configuration, Retention},
    exit::CommandError,
    metrics::number,
};
use crate::{
    audit::{
        Recorder, Spool, SpoolError, SpoolOptions, SpoolReader,
        retention::{self, RetentionSettings, RetentionStatus},
        shipping::{Shipper, ShippingNumbers, ShippingSettings, ShippingStatus, SpoolSource},
    },
    store::{Store, decisions::DecisionStore},
    telemetry::Metrics,
    types::{Clock, IdSource},
};

/// How long the end waits for what is left to be shipped. What then is not stays on disk, and the next process ships it.
const LAST_SHIPPING: Duration = Duration::from_secs(2);

/// What records, and what becomes of the records.
pub(super) struct Recording {
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    shipping: Arc<ShippingStatus>,
    pruning: Arc<RetentionStatus>,
    end: watch::Sender<bool>,
    working: JoinHandle<()>,
    retaining: Option<JoinHandle<()>>,
    /// Of records that ended processes left in other folders.
    adopting: Vec<JoinHandle<()>>,
    /// Of a database that is gone with this process: its records are, too.
    folder: Option<TempDir>,
}

/// So many processes may share the folder from which they are started, where nobody named a spool.
const MOST_UNNAMED: u32 = 16;

impl Recording {
    /// Opens the spool, and begins to ship and to prune; `None` in the mode `off`.
    ///
    /// # Errors
    /// [`CommandError`] when the spool cannot be opened: nothing could be answered.
    pub(super) fn begin(
        configuration: &Configuration,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        ids: &mut dyn IdSource,
    ) -> Result<Option<Self>, CommandError> {
        let Some(options) = configuration.audit.spool_options() else {
            tracing::warn!("decisions are not recorded: [audit] mode is off");
            return Ok(None);
        };
        let parts = configuration.audit.recorded_parts()?;
        let (folder, options) = match configuration.database.url()?.expose().contains(":memory:")
            && !configuration.audit.is_named()
        {
            true => {
                let folder = TempDir::with_prefix("regate-spool-")?;
                let options = SpoolOptions { folder: folder.path().to_owned(), ..options };
                (Some(folder), options)
            }
            false => (None, options),
        };
        let is_named = configuration.audit.is_named();
        let (own, spool, reader) = open(&options, is_named, || ids.next_id(clock.now()))?;
        let left =
            if is_named { Vec::new() } else { left_by_others(&options, own, ids.next_id(clock.now())) };
        let decisions: Arc<dyn DecisionStore> = store.clone();
        let adopting = left.into_iter().map(|(spool, reader)| {
            let source = SpoolSource::new(Arc::new(spool), reader);
            let (decisions, clock) = (Arc::clone(&decisions), Arc::clone(clock));
            tokio::spawn(adopt(source, decisions, clock))
        });
        let adopting: Vec<JoinHandle<()>> = adopting.collect();
        let left = spool.status().records;
        let folder_of_spool = numbered(&options, own).folder;
        tracing::info!(
            folder = %folder_of_spool.display(),
            left,
            "decisions are recorded; at most so many of an earlier process are left to be shipped"
        );
        let spool = Arc::new(spool);
        let recorder = Arc::new(Recorder::new(Arc::clone(&spool), parts));
        let (shipping, pruning) = (Arc::new(ShippingStatus::default()), Arc::new(RetentionStatus::default()));
        let source = SpoolSource::new(spool, reader);
        let (settings, log) = (ShippingSettings::default(), Arc::clone(&decisions));
        let mut shipper = Shipper::new(source, log, Arc::clone(clock), settings, Arc::clone(&shipping));
        let (end, mut ended) = watch::channel(false);
        let working = tokio::spawn(async move {
            tokio::select! {
                () = shipper.run() => {}
                _ = ended.wait_for(|ended| *ended) => {}
            }
            // What is there now is all that there will be.
            let _ = tokio::time::timeout(LAST_SHIPPING, shipper.drain()).await;
        });
        let retaining = match configuration.audit.retention_days {
            Retention::Forever => None,
            Retention::Days(days) => {
                let age = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
                let settings = RetentionSettings { age, ..RetentionSettings::default() };
                let pruning = Arc::clone(&pruning);
                Some(tokio::spawn(retention::keep_pruned(decisions, Arc::clone(clock), settings, pruning)))
            }
        };
        let clock = Arc::clone(clock);
        Ok(Some(Self { recorder, clock, shipping, pruning, end, working, retaining, adopting, folder }))
    }

    /// What decisions are recorded with.
    pub(super) fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder)
    }

    /// Ships what is left, as far as the database takes it, when nobody is answered any more.
    pub(super) async fn finish(self) {
        self.retaining.iter().chain(&self.adopting).for_each(JoinHandle::abort);
        // What is gathered has to be on disk before the rest is shipped.
        let spool = Arc::clone(self.recorder.spool());
        let _ = tokio::task::spawn_blocking(move || spool.close()).await;
        self.end.send_replace(true);
        let _ = self.working.await;
        drop(self.folder);
    }

    /// Shows how it is.
    pub(super) fn show(&self, metrics: &mut Metrics) {
        let of_recorder = |read: fn(&Recorder) -> f64| {
            let recorder = Arc::clone(&self.recorder);
            move || read(&recorder)
        };
        let of_shipping = |read: fn(&ShippingNumbers) -> f64| {
            let shipping = Arc::clone(&self.shipping);
            move || read(&shipping.numbers())
        };
        metrics.counter(
            "audit_recorded",
            "Decisions that were recorded before they were answered: promises kept",
            of_recorder(|recorder| number(recorder.kept())),
        );
        for (why, read) in [
            ("full", (|recorder| number(recorder.spool().status().refused_full)) as fn(&Recorder) -> f64),
            ("failed", |recorder| {
                number(recorder.broken().saturating_sub(recorder.spool().status().refused_full))
            }),
        ] {
            metrics.labelled_counter(
                "audit_refused",
                "Decisions that were denied because they could not be recorded: there was no room, or the disk failed",
                [("why", why.to_owned())],
                of_recorder(read),
            );
        }
        metrics.gauge(
            "audit_spool_bytes",
            "Bytes of the files of records on disk, which are removed when all of their records are in the database",
            of_recorder(|recorder| number(recorder.spool().status().bytes)),
        );
        metrics.gauge(
            "audit_spool_records",
            "Records on disk that are not in the database yet",
            of_recorder(|recorder| number(recorder.spool().status().records)),
        );
        metrics.gauge(
            "audit_spool_limit_bytes",
            "What audit_spool_bytes may reach: then decisions are denied",
            of_recorder(|recorder| number(recorder.spool().status().max_bytes)),
        );
        metrics.gauge(
            "audit_failing",
            "1 while records cannot be written to the disk: decisions are denied",
            of_recorder(|recorder| if recorder.spool().status().failing { 1.0 } else { 0.0 }),
        );
        metrics.counter(
            "audit_damaged",
            "Places on disk where records were damaged, and are lost",
            of_recorder(|recorder| number(recorder.spool().status().damaged_places)),
        );
        metrics.counter(
            "audit_shipped",
            "Records that went to the database",
            of_shipping(|shipping| number(shipping.shipped)),
        );
        metrics.counter(
            "audit_gaps",
            "How often records were found to be lost, on disk or by an older state of the database",
            of_shipping(|shipping| number(shipping.gaps)),
        );
        metrics.gauge(
            "audit_shipping_failing",
            "1 while records cannot be written to the database: they wait on disk",
            of_shipping(|shipping| if shipping.failing { 1.0 } else { 0.0 }),
        );
        let (shipping, clock) = (Arc::clone(&self.shipping), Arc::clone(&self.clock));
        metrics.gauge(
            "audit_shipping_lag_seconds",
            "How long ago the oldest record was made that was read from disk and is not in the database; 0 without one",
            move || shipping.numbers().lag(clock.now()).as_secs_f64(),
        );
        let pruning = Arc::clone(&self.pruning);
        metrics.counter(
            "audit_pruned",
            "Records that were kept for long enough and are gone from the database",
            move || number(pruning.pruned()),
        );
        let pruning = Arc::clone(&self.pruning);
        metrics.gauge(
            "audit_pruning_failing",
            "1 while old records cannot be taken from the database",
            move || if pruning.is_failing() { 1.0 } else { 0.0 },
        );
    }
}

/// How long to wait before it is tried again to ship what an ended process left.
const ADOPTION_PAUSE: Duration = Duration::from_secs(5);

/// Ships what an ended process left in a folder that nobody has, and lets go of it.
async fn adopt(source: SpoolSource, store: Arc<dyn DecisionStore>, clock: Arc<dyn Clock>) {
    let status = Arc::new(ShippingStatus::default());
    let mut shipper = Shipper::new(source, store, clock, ShippingSettings::default(), Arc::clone(&status));
    while !shipper.drain().await {
        tokio::time::sleep(ADOPTION_PAUSE).await;
    }
    let records = status.numbers().shipped;
    if records > 0 {
        tracing::info!(records, "decisions that an ended process had left on disk are in the database");
    }
}

/// The folder of the spool of this number.
fn numbered(options: &SpoolOptions, number: u32) -> SpoolOptions {
    let mut options = options.clone();
    if number > 1 {
        let mut name = options.folder.into_os_string();
        name.push(format!("-{number}"));
        options.folder = name.into();
    }
    options
}

/// The other spools of this folder that nobody has and that hold records.
fn left_by_others(options: &SpoolOptions, own: u32, new_id: Uuid) -> Vec<(Spool, SpoolReader)> {
    let others = (1..=MOST_UNNAMED).filter(|number| *number != own).map(|number| numbered(options, number));
    let there = others.filter(|other| other.folder.is_dir());
    there
        .filter_map(|other| match Spool::open(&other, new_id) {
            Ok((spool, reader)) => Some((spool, reader)).filter(|(spool, _)| spool.status().records > 0),
            Err(SpoolError::InUse(_)) => None,
            Err(error) => {
                let error = CommandError::from(error).with_causes();
                tracing::warn!(%error, "decisions that an ended process left on disk cannot be read");
                None
            }
        })
        .collect()
}

/// Opens a spool, and gives its number. Where nobody named one, processes that are started from one folder each take the
/// first that is free.
fn open(
    options: &SpoolOptions,
    is_named: bool,
    mut new_id: impl FnMut() -> Uuid,
) -> Result<(u32, Spool, SpoolReader), SpoolError> {
    let mut number = 1;
    loop {
        match Spool::open(&numbered(options, number), new_id()) {
            Err(SpoolError::InUse(_)) if !is_named && number < MOST_UNNAMED => number += 1,
            opened => return opened.map(|(spool, reader)| (number, spool, reader)),
        }
    }
}
