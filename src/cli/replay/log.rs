//! The records of the decision log, read from the database page by page.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::{
    cli::{
        configuration::Configuration,
        exit::CommandError,
        store::{connect_to_read, described},
    },
    store::{
        Store,
        decisions::{DecisionFilter, DecisionRow},
    },
    types::Timestamp,
};

/// Records that are read at once.
const PAGE: u32 = 1_000;

/// The records that were made within a time, oldest first.
pub(super) struct LogLines {
    runtime: Runtime,
    store: Arc<dyn Store>,
    filter: DecisionFilter,
    rows: std::vec::IntoIter<DecisionRow>,
    row: Option<DecisionRow>,
    bytes: u64,
    is_over: bool,
}

impl LogLines {
    /// Opens the log, which is only read.
    pub(super) fn open(
        configuration: &Configuration,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Self, CommandError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let store = runtime.block_on(connect_to_read(configuration))?;
        let filter =
            DecisionFilter { from, until, oldest_first: true, limit: PAGE, ..DecisionFilter::default() };
        let rows = Vec::new().into_iter();
        Ok(Self { runtime, store, filter, rows, row: None, bytes: 0, is_over: false })
    }

    /// Where the last record stands: a name, and its number in the chain.
    pub(super) fn place(&self) -> (&str, u64) {
        ("decision log", self.row.as_ref().map_or(0, |row| row.sequence))
    }

    /// So many bytes were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads on to the next record; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, CommandError> {
        if self.rows.as_slice().is_empty() && !self.is_over {
            self.filter.after = self.row.as_ref().map(|row| row.sequence);
            let rows = self.runtime.block_on(self.store.list_decisions(&self.filter))?;
            self.is_over = rows.len() < PAGE as usize;
            self.rows = rows.into_iter();
        }
        self.row = self.rows.next();
        self.bytes += self.row.as_ref().map_or(0, |row| row.record.len() as u64);
        Ok(self.row.is_some())
    }

    /// The record that was read last.
    pub(super) fn line(&self) -> &[u8] {
        self.row.as_ref().map_or(&[], |row| row.record.as_bytes())
    }
}

/// That there is no record, and in which log; of `selected` ones.
pub(super) fn nothing(configuration: &Configuration, selected: bool) -> Result<String, CommandError> {
    let database = described(configuration)?;
    Ok(match selected {
        true => format!("the decision log of {database} has no record of that time"),
        false => format!("the decision log of {database} is empty"),
    })
}

impl Drop for LogLines {
    fn drop(&mut self) {
        self.runtime.block_on(self.store.close());
    }
}
