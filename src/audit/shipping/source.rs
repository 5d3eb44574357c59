//! Where records come from: a process's records on disk, as the way to the database sees them.

use std::error::Error;

use async_trait::async_trait;
use uuid::Uuid;

use crate::store::decisions::SpoolPosition;

/// Records on disk cannot be read, or not be let go.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Records that follow one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceBatch {
    /// Where they end. It means nothing where there are none.
    pub to: SpoolPosition,
    /// Each in its compact form; none when there is nothing at the moment.
    pub records: Vec<Vec<u8>>,
    /// So many stretches were passed over, because they are damaged.
    pub damaged: u64,
}

/// Where the reader stands after it was told where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// There.
    There,
    /// At the oldest record that there is: what lay between the two is gone.
    Later,
}

/// A reader of records on disk, the only one.
#[async_trait]
pub trait RecordSource: Send {
    /// The id of these records: another after they were put away.
    fn id(&self) -> Uuid;

    /// Waits until there may be a record that was not read.
    async fn wait(&mut self);

    /// Reads on: at most so many records, and no more bytes than these unless the first record has more.
    ///
    /// # Errors
    /// It cannot read at the moment, and stays where it is.
    async fn next_batch(
        &mut self,
        most_records: usize,
        most_bytes: usize,
    ) -> Result<SourceBatch, SourceError>;

    /// The records before this position are in the database: their room can be had.
    ///
    /// # Errors
    /// They could not be removed. That is no loss.
    fn acknowledge(&mut self, to: SpoolPosition) -> Result<(), SourceError>;

    /// Goes on reading at this position; `None` is the oldest record that there is.
    ///
    /// # Errors
    /// It cannot, and stays where it is.
    async fn seek(&mut self, to: Option<SpoolPosition>) -> Result<Sought, SourceError>;

    /// Whether so much waits that room may end: then shipping takes what it can get.
    fn is_filling(&self) -> bool;
}
