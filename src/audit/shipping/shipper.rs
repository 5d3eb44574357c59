//! The one who ships: step by step, each of which may fail, be repeated, or be dropped half-way.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{
    RecordSource, ShippingSettings, ShippingStatus, Sought, SourceBatch, SourceError,
    reading::{self, Converted},
};
use crate::{
    audit::chain,
    store::{
        StoreError,
        decisions::{Appended, Appending, DecisionBatch, DecisionStore, SpoolPosition},
    },
    types::{Clock, Timestamp, causes},
};

/// Ships the records of one source.
pub struct Shipper<S> {
    source: S,
    store: Arc<dyn DecisionStore>,
    clock: Arc<dyn Clock>,
    settings: ShippingSettings,
    status: Arc<ShippingStatus>,
    seat: Option<Seat>,
    pending: Option<Pending>,
    /// So many records are to be shipped one by one: the database refused one of them.
    careful: usize,
    /// What was said of the last failure.
    said: Option<String>,
    pause: Duration,
}

/// The position up to which the database has the records, and at which the source goes on.
#[derive(Clone, Copy, Debug)]
struct Seat(Option<SpoolPosition>);

/// Records that were read and are not known to be in the database.
struct Pending {
    batch: SourceBatch,
    converted: Converted,
    /// They stand for a record that the database refused.
    in_place: bool,
}

/// Why a step could not be done.
enum Failure {
    Source(SourceError),
    Store(StoreError),
    /// The database has not answered, and may yet do what it was asked.
    Late,
}

impl<S: RecordSource> Shipper<S> {
    /// Over a source that nobody else reads.
    pub fn new(
        source: S,
        store: Arc<dyn DecisionStore>,
        clock: Arc<dyn Clock>,
        settings: ShippingSettings,
        status: Arc<ShippingStatus>,
    ) -> Self {
        Self {
            source,
            store,
            clock,
            settings,
            status,
            seat: None,
            pending: None,
            careful: 0,
            said: None,
            pause: settings.first_pause,
        }
    }

    /// Ships, for ever. To drop it at any moment loses nothing, and it may be called again.
    pub async fn run(&mut self) {
        loop {
            if self.seat.is_some() && self.pending.is_none() {
                self.source.wait().await;
                if !self.source.is_filling() {
                    sleep(self.settings.gather).await;
                }
            }
            let begun = self.clock.uptime();
            if self.step_and_tell().await.is_none() {
                sleep(self.pause).await;
                self.pause = self.pause.saturating_mul(2).min(self.settings.longest_pause);
            } else if self.source.is_busy() && !self.source.is_filling() {
                let took = self.clock.uptime().saturating_sub(begun);
                sleep(took.saturating_mul(self.settings.rest).min(self.settings.longest_pause)).await;
            }
        }
    }

    /// Ships what there is, without rest, up to the first failure. Gives whether nothing is left.
    pub async fn drain(&mut self) -> bool {
        loop {
            match self.step_and_tell().await {
                Some(true) => {}
                Some(false) => return true,
                None => return false,
            }
        }
    }

    /// Does a step and gives whether there was something to do; `None` if it failed. Says when a failure begins, is
    /// another, or is over.
    async fn step_and_tell(&mut self) -> Option<bool> {
        let problem = match self.step().await {
            Ok(done) => {
                self.pause = self.settings.first_pause;
                self.status.failing.store(false, Relaxed);
                if self.said.take().is_some() {
                    tracing::info!("decisions are written to the database again");
                }
                return Some(done);
            }
            Err(Failure::Source(error)) => causes(&*error).join(": "),
            Err(Failure::Store(error)) => causes(&error).join(": "),
            Err(Failure::Late) => "the database does not answer in time".to_owned(),
        };
        ShippingStatus::add(&self.status.failures, 1);
        self.status.failing.store(true, Relaxed);
        if self.said.as_ref() != Some(&problem) {
            tracing::warn!(%problem, "decisions cannot be written to the database: they wait on disk");
            self.said = Some(problem);
        }
        None
    }

    async fn step(&mut self) -> Result<bool, Failure> {
        match self.seat {
            None => {
                let asking =
                    timeout(self.settings.answer_time, self.store.shipped_position(self.source.id()));
                let known = asking.await.map_err(|_| Failure::Late)?.map_err(Failure::Store)?;
                self.sit(known).await?;
                Ok(true)
            }
            Some(Seat(_)) if self.pending.is_none() => self.read().await,
            Some(Seat(after)) => self.append(after).await.map(|()| true),
        }
    }

    /// Goes on reading where the database stands.
    async fn sit(&mut self, known: Option<SpoolPosition>) -> Result<(), Failure> {
        self.pending = None;
        self.seat = None;
        let sought = self.source.seek(known).await.map_err(Failure::Source)?;
        if sought == Sought::Later {
            ShippingStatus::add(&self.status.gaps, 1);
            tracing::error!(
                position = known.map(|known| known.to_string()),
                "decisions are lost: they are neither in the database, which ends at this position, nor on disk"
            );
        }
        self.seat = Some(Seat(known));
        // What is there already may be all that fills the room.
        if let Some(known) = known.filter(|_| sought == Sought::There) {
            self.acknowledge(known);
        }
        Ok(())
    }

    fn acknowledge(&mut self, to: SpoolPosition) {
        if let Err(error) = self.source.acknowledge(to) {
            let problem = causes(&*error).join(": ");
            tracing::warn!(%problem, "the room of decisions that are in the database cannot be had again");
        }
    }

    async fn read(&mut self) -> Result<bool, Failure> {
        let most = if self.careful > 0 { 1 } else { self.settings.most_records };
        // If this is dropped while it reads, nobody knows where the source stands.
        let seat = self.seat.take();
        let batch = self.source.next_batch(most, self.settings.most_bytes).await;
        self.seat = seat;
        let batch = batch.map_err(Failure::Source)?;
        if batch.damaged > 0 {
            ShippingStatus::add(&self.status.gaps, batch.damaged);
            tracing::error!(places = batch.damaged, "decisions are lost: they are damaged on disk");
        }
        if batch.records.is_empty() {
            self.status.waiting_since(None);
            return Ok(batch.damaged > 0);
        }
        let converted = reading::convert(self.source.id(), &batch, self.clock.now());
        let oldest = converted.records.iter().map(|record| record.columns.time_millis).min();
        self.status.waiting_since(oldest.map(Timestamp::from_unix_millis));
        self.pending = Some(Pending { batch, converted, in_place: false });
        Ok(true)
    }

    async fn append(&mut self, after: Option<SpoolPosition>) -> Result<(), Failure> {
        let Some(pending) = &self.pending else { return Ok(()) };
        let (spool, to) = (self.source.id(), pending.batch.to);
        let batch = DecisionBatch { spool, after, to, records: &pending.converted.records };
        let appending = self.store.append_decisions(&batch, &chain::link);
        match timeout(self.settings.answer_time, appending).await.map_err(|_| Failure::Late)? {
            Ok(Appended::Now(appending)) => {
                self.appended(to, &appending);
                Ok(())
            }
            // Neither this batch, written by an answer that did not come, nor an older state of the database.
            Ok(Appended::Elsewhere(Some(known))) if known != to && Some(known) > after => {
                ShippingStatus::add(&self.status.gaps, 1);
                tracing::error!(
                    position = %known,
                    "the database says that it has records of this spool which nobody has shipped: another process has a copy \
                     of the spool, or somebody has changed its position; they are shipped all the same"
                );
                self.seat = Some(Seat(Some(known)));
                Ok(())
            }
            Ok(Appended::Elsewhere(known)) => {
                if known.is_none() {
                    ShippingStatus::add(&self.status.gaps, 1);
                    tracing::error!(
                        "the database knows nothing of decisions that it had: an older state of it was put back; \
                         what is on disk still is written again"
                    );
                }
                self.sit(known).await
            }
            Err(error @ (StoreError::Rejected { .. } | StoreError::Failed(_))) => {
                self.refused(after, error).await
            }
            Err(error) => Err(Failure::Store(error)),
        }
    }

    fn appended(&mut self, to: SpoolPosition, appending: &Appending) {
        let status = &*self.status;
        ShippingStatus::add(&status.shipped, appending.records);
        ShippingStatus::add(&status.batches, 1);
        ShippingStatus::add(&status.doubles, appending.doubles);
        ShippingStatus::add(&status.clashes, appending.clashes.len() as u64);
        if let Some(id) = appending.clashes.first() {
            let others = appending.clashes.len() - 1;
            tracing::error!(decision_id = id, others, "two decisions have one id: the log has both");
        }
        if let Some(pending) = self.pending.take() {
            ShippingStatus::add(&status.stubs, pending.converted.stubs);
            if pending.converted.stubs > 0 {
                tracing::error!(
                    records = pending.converted.stubs,
                    "records of decisions cannot be read, or the database does not take them: the log has \
                     audit.unreadable in their place"
                );
            }
        }
        status.shipped_at(self.clock.now());
        status.waiting_since(None);
        self.careful = self.careful.saturating_sub(1);
        self.seat = Some(Seat(Some(to)));
        self.acknowledge(to);
    }

    /// The database answers, and does not take a record: it must not hold up all others. Which one it is shows when
    /// they come one by one; in its place stands one that says so, and has its bytes.
    async fn refused(&mut self, after: Option<SpoolPosition>, error: StoreError) -> Result<(), Failure> {
        let Some(pending) = &mut self.pending else { return Ok(()) };
        let number = pending.batch.records.len();
        if number > 1 {
            self.careful = number;
            return self.sit(after).await;
        }
        if pending.in_place {
            // Nor that: it is not the record. The next time it is tried itself.
            self.sit(after).await?;
            return Err(Failure::Store(error));
        }
        let problem = format!("the database did not take it: {}", causes(&error).join(": "));
        pending.converted = reading::in_place(self.source.id(), &pending.batch, &problem, self.clock.now());
        pending.in_place = true;
        Ok(())
    }
}
