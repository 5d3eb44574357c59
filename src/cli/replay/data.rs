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
    /// The data, as `regate import` takes it. Beside --from-log and --database-url: the data in place of the rows there
    #[arg(long, value_name = "FILE")]
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
    /// # Errors
    /// [`CommandError::Usage`] when the data is to come from two places.
    pub(super) fn check(&self, from_log: bool) -> Result<(), CommandError> {
        if self.data.is_some() && self.database_url.is_some() && !from_log {
            let text = "--data and --database-url both say where the data is: give one of them (or both beside \
                        --from-log, whose records are in the database)";
            return Err(CommandError::Usage(text.to_owned()));
        }
        Ok(())
    }

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
