//! Records of a process as they would be on disk, in memory: they survive the one who reads them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use regate::{
    audit::shipping::{RecordSource, Sought, SourceBatch, SourceError},
    store::decisions::SpoolPosition,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// The records; an offset counts them.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    id: Uuid,
    records: Mutex<Vec<Vec<u8>>>,
    /// So many of the first are gone.
    gone: Mutex<u64>,
    acknowledged: Mutex<u64>,
    more: Notify,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Shared {
            id: Uuid::from_u128(rand::random()),
            records: Mutex::default(),
            gone: Mutex::default(),
            acknowledged: Mutex::default(),
            more: Notify::new(),
        }))
    }
}

impl Memory {
    pub fn extend(&self, records: impl IntoIterator<Item = Vec<u8>>) {
        self.0.records.lock().unwrap().extend(records);
        self.0.more.notify_one();
    }

    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Up to where room could be had again.
    pub fn acknowledged(&self) -> u64 {
        *self.0.acknowledged.lock().unwrap()
    }

    /// The first so many are on disk no more.
    pub fn lose(&self, number: u64) {
        *self.0.gone.lock().unwrap() = number;
    }

    pub fn reader(&self) -> MemorySource {
        MemorySource { shared: Arc::clone(&self.0), at: 0 }
    }
}

pub struct MemorySource {
    shared: Arc<Shared>,
    at: u64,
}

impl MemorySource {
    fn count(&self) -> u64 {
        self.shared.records.lock().unwrap().len() as u64
    }
}

#[async_trait]
impl RecordSource for MemorySource {
    fn id(&self) -> Uuid {
        self.shared.id
    }

    async fn wait(&mut self) {
        while self.at >= self.count() {
            self.shared.more.notified().await;
        }
    }

    async fn next_batch(&mut self, most: usize, bytes: usize) -> Result<SourceBatch, SourceError> {
        // As one that reads a file may.
        tokio::task::yield_now().await;
        let mut left = bytes;
        let first = usize::try_from(self.at).unwrap();
        let records: Vec<Vec<u8>> = self.shared.records.lock().unwrap()[first..]
            .iter()
            .take(most)
            .take_while(|record| {
                let fits = left == bytes || record.len() <= left;
                left = left.saturating_sub(record.len());
                fits
            })
            .cloned()
            .collect();
        self.at += records.len() as u64;
        Ok(SourceBatch { to: SpoolPosition { segment: 1, offset: self.at }, records, damaged: 0 })
    }

    fn acknowledge(&mut self, to: SpoolPosition) -> Result<(), SourceError> {
        *self.shared.acknowledged.lock().unwrap() = to.offset;
        Ok(())
    }

    async fn seek(&mut self, to: Option<SpoolPosition>) -> Result<Sought, SourceError> {
        let gone = *self.shared.gone.lock().unwrap();
        let wanted = to.map_or(gone, |to| to.offset);
        self.at = wanted.max(gone);
        Ok(if wanted < gone { Sought::Later } else { Sought::There })
    }

    fn is_filling(&self) -> bool {
        false
    }
}
