//! Who was allowed what, when, by which rule.
//!
//! **For:** the record of each decision: its spool on disk, its hash chain, its way to the database.
//!
//! **Must never know:** a credential; how a decision was made.

pub mod chain;
mod columns;
mod line;
mod record;
pub mod retention;
pub mod shipping;
mod stub;
pub mod verify;

pub use line::line;
pub use record::{
    COMPACT_FORM, DecisionRecord, RecordedCredential, RecordedGateway, RecordedLimit, RecordedMcp,
    RecordedQuestion, RecordedRequest, RecordedSubject, Text, Unreadable,
};
pub use stub::UNREADABLE;
