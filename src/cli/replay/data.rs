//! The data that is decided over: a file, the live rows, or none.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::{
        configuration::{self, Configuration},
        decide,
        exit::CommandError,
        store::{block_on, connect_to_read, load},
    },
    decision::Snapshot,
};

/// Where the data is.
#[derive(Clone, Debug, Args)]
pub(super) struct DataArguments {
    /// The data, as `regate import` takes it
    #[arg(long, value_name = "FILE", conflicts_with = "database_url")]
    data: Option<PathBuf>,
    /// The live rows, which are only read: sqlite://FILE or postgres://… [default: the database that the
    /// configuration file or REGATE_DATABASE__URL names; without one, no data]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Configuration file, for [policy], [requests] and [database]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl DataArguments {
    /// The configuration, with these flags over it.
    pub(super) fn configuration(&self) -> Result<Configuration, CommandError> {
        let mut configuration = Configuration::read(self.config.as_ref(), configuration::variables())?;
        if let Some(url) = &self.database_url {
            configuration.set_database_url(url.clone());
        }
        Ok(configuration)
    }

    /// The data; the live rows where what is decided again is from the same database.
    pub(super) fn load(
        &self,
        configuration: &Configuration,
        from_log: bool,
    ) -> Result<Snapshot, CommandError> {
        if !configuration.documents.is_empty() {
            eprintln!("regate: the rows of [[documents]] are not part of a replay: rules see none of them");
        }
        let named = from_log || self.database_url.is_some() || configuration.database.is_named();
        if self.data.is_some() || !named {
            return block_on(decide::data(self.data.as_ref()));
        }
        block_on(async {
            let store = connect_to_read(configuration).await?;
            let snapshot = load(&*store).await;
            store.close().await;
            snapshot
        })
    }
}
