//! Who was allowed what, when, by which rule.
//!
//! **For:** the record of each decision: its spool on disk, its hash chain, its way to the database.
//!
//! **Must never know:** a credential; how a decision was made.

mod record;
mod spool;

pub use record::{
    COMPACT_FORM, DecisionRecord, RecordedCredential, RecordedGateway, RecordedLimit, RecordedMcp,
    RecordedQuestion, RecordedRequest, RecordedSubject, Text, Unreadable,
};
pub use spool::{
    Batch, Damage, MOST_RECORD_BYTES, NoPosition, NotAppended, Position, Promise, Sought, Spool, SpoolError,
    SpoolOptions, SpoolReader, SpoolStatus,
};
