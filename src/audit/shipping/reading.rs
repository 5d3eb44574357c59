//! From a record on disk to one for the database.

use serde_json::Value;
use uuid::Uuid;

use super::source::SourceBatch;
use crate::{
    audit::{
        columns::columns,
        record::DecisionRecord,
        stub::{self, Origin},
    },
    store::decisions::NewDecision,
    types::Timestamp,
};

/// A batch as the database takes it.
pub(super) struct Converted {
    /// One for each record of the batch, in their order.
    pub records: Vec<NewDecision>,
    /// So many of them say that theirs cannot be read.
    pub stubs: u64,
}

/// Reads all records of a batch.
pub(super) fn convert(spool: Uuid, batch: &SourceBatch, now: Timestamp) -> Converted {
    let mut stubs = 0;
    let records = batch.records.iter().enumerate().map(|(index, bytes)| {
        let value = DecisionRecord::read_compact(bytes).map(|record| record.to_json());
        kept(value.unwrap_or_else(|unreadable| {
            stubs += 1;
            stub::record(Origin { spool, batch_to: batch.to, index }, bytes, &unreadable.to_string(), now)
        }))
    });
    let records = records.collect();
    Converted { records, stubs }
}

/// What stands for records that the database does not take.
pub(super) fn in_place(spool: Uuid, batch: &SourceBatch, problem: &str, now: Timestamp) -> Converted {
    let records = batch.records.iter().enumerate().map(|(index, bytes)| {
        kept(stub::record(Origin { spool, batch_to: batch.to, index }, bytes, problem, now))
    });
    Converted { records: records.collect(), stubs: batch.records.len() as u64 }
}

fn kept(record: Value) -> NewDecision {
    NewDecision { columns: columns(&record), record: record.to_string() }
}
