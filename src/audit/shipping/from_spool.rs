//! The spool as a source of records.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::source::{RecordSource, Sought, SourceBatch, SourceError};
use crate::{
    audit::spool::{self, Position, Spool, SpoolReader},
    store::decisions::SpoolPosition,
};

/// The records that a process has put into its spool, and those that it found there.
#[derive(Debug)]
pub struct SpoolSource {
    spool: Arc<Spool>,
    reader: SpoolReader,
}

impl SpoolSource {
    /// Both ends of one spool.
    pub const fn new(spool: Arc<Spool>, reader: SpoolReader) -> Self {
        Self { spool, reader }
    }
}

#[async_trait]
impl RecordSource for SpoolSource {
    fn id(&self) -> Uuid {
        self.spool.id()
    }

    async fn wait(&mut self) {
        self.reader.wait().await;
    }

    async fn next_batch(
        &mut self,
        most_records: usize,
        most_bytes: usize,
    ) -> Result<SourceBatch, SourceError> {
        let batch = self.reader.next_batch(most_records, most_bytes).await?;
        Ok(SourceBatch {
            to: SpoolPosition { segment: batch.to.segment, offset: batch.to.offset },
            records: batch.records().map(<[u8]>::to_vec).collect(),
            damaged: u64::from(batch.damaged.is_some()),
        })
    }

    fn acknowledge(&mut self, to: SpoolPosition) -> Result<(), SourceError> {
        Ok(self.reader.acknowledge(position(to))?)
    }

    async fn seek(&mut self, to: Option<SpoolPosition>) -> Result<Sought, SourceError> {
        let to = to.map_or_else(|| self.reader.begins(), position);
        Ok(match self.reader.seek(to).await? {
            spool::Sought::There => Sought::There,
            spool::Sought::Gone | spool::Sought::Unknown => Sought::Later,
        })
    }

    fn is_filling(&self) -> bool {
        let status = self.spool.status();
        status.bytes > status.max_bytes / 2
    }
}

const fn position(SpoolPosition { segment, offset }: SpoolPosition) -> Position {
    Position { segment, offset }
}
