//! The way of records from disk to the database: each once, none lost, whatever ends in between.
//!
//! The database knows up to where it has a spool, and moves that position in the transaction that writes the records.
//! So there is nothing to remember here: at the start, and whenever the two disagree, reading goes on where the
//! database stands.
//!
//! Shipping is never in a hurry: after each batch it rests for several times as long as the batch took, so that
//! decisions have the machine; only when the room on disk comes to its end it takes what it can get.

mod from_spool;
mod reading;
mod shipper;
mod source;
mod status;

use std::time::Duration;

pub use self::{
    from_spool::SpoolSource,
    shipper::Shipper,
    source::{RecordSource, Sought, SourceBatch, SourceError},
    status::{ShippingNumbers, ShippingStatus},
};

/// How to ship.
#[derive(Clone, Copy, Debug)]
pub struct ShippingSettings {
    /// The most records in one transaction.
    pub most_records: usize,
    /// The most bytes of them.
    pub most_bytes: usize,
    /// How long to wait for more when there is a record.
    pub gather: Duration,
    /// For how many times as long as a batch took to rest after it, unless room comes to its end.
    pub rest: u32,
    /// How long the database may take for an answer: who waits for one that hangs tells nobody.
    pub answer_time: Duration,
    /// How long to wait after the first failure; twice as long after each further one.
    pub first_pause: Duration,
    /// And no longer than this.
    pub longest_pause: Duration,
}

impl Default for ShippingSettings {
    /// 500 records or 1 MiB; 50 ms; four times, so a fifth of the time at most; 15 s; 100 ms to 5 s.
    fn default() -> Self {
        Self {
            most_records: 500,
            most_bytes: 1024 * 1024,
            gather: Duration::from_millis(50),
            rest: 4,
            answer_time: Duration::from_secs(15),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}
