//! Who was allowed what, when, by which rule.
//!
//! **For:** the record of each decision: its spool on disk, its hash chain, its way to the database.
//!
//! **Must never know:** a credential; how a decision was made.

pub mod chain;
mod columns;
mod describe;
mod line;
mod masking;
mod record;
mod recorder;
pub mod retention;
mod settings;
pub mod shipping;
mod spool;
mod stub;
pub mod verify;

pub use describe::{Asked, Took};
pub use line::line;
pub use record::{
    COMPACT_FORM, DecisionRecord, RecordedCredential, RecordedGateway, RecordedLimit, RecordedMcp,
    RecordedQuestion, RecordedRequest, RecordedSubject, Text, Unreadable,
};
pub use recorder::{NotRecorded, Recorder};
pub use settings::{InvalidProjectPath, RecordedParts};
pub use spool::{
    Batch, Damage, MOST_RECORD_BYTES, NoPosition, NotAppended, Position, Promise, Sought, Spool, SpoolError,
    SpoolOptions, SpoolReader, SpoolStatus,
};
pub use stub::UNREADABLE;
