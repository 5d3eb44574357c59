//! How commands reach the store.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;

use super::{
    configuration::{self, Configuration},
    exit::CommandError,
};
use crate::{
    decision::{Snapshot, SnapshotBuilder},
    store::{self, ConnectOptions, Store},
};

/// Flags of every command that touches the store.
#[derive(Clone, Debug, Args)]
pub(super) struct StoreArguments {
    /// Configuration file (TOML); variables REGATE_SECTION__KEY and flags are stronger
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// sqlite://FILE (created when missing), sqlite::memory: or postgres://…
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

impl StoreArguments {
    /// The configuration, with these flags over it.
    pub(super) fn configuration(&self) -> Result<Configuration, CommandError> {
        let mut configuration = Configuration::read(self.config.as_ref(), configuration::variables())?;
        if let Some(url) = &self.database_url {
            configuration.set_database_url(url.clone());
        }
        Ok(configuration)
    }

    /// The store, its tables up to date unless the configuration says otherwise.
    pub(super) async fn open(&self) -> Result<Arc<dyn Store>, CommandError> {
        open(&self.configuration()?).await
    }

    /// Runs work on the store to its end, and closes it.
    pub(super) fn run<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Store) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        block_on(async {
            let store = self.open().await?;
            let done = work(&*store).await?;
            store.close().await;
            Ok(done)
        })
    }
}

/// Opens the store that the configuration names and brings its tables up to date.
pub(super) async fn open(configuration: &Configuration) -> Result<Arc<dyn Store>, CommandError> {
    let store = connect(configuration).await?;
    if configuration.database.migrate {
        let applied = store.migrate().await?;
        if !applied.is_empty() {
            tracing::info!(migrations = applied.join(", "), "the store's tables were brought up to date");
        }
    }
    Ok(store)
}

/// Opens the store that the configuration names and leaves its tables as they are.
pub(super) async fn connect(configuration: &Configuration) -> Result<Arc<dyn Store>, CommandError> {
    connect_with(configuration, false).await
}

/// Opens the store that the configuration names for reading: it must be there already.
pub(super) async fn connect_to_read(configuration: &Configuration) -> Result<Arc<dyn Store>, CommandError> {
    connect_with(configuration, true).await
}

async fn connect_with(
    configuration: &Configuration,
    read_only: bool,
) -> Result<Arc<dyn Store>, CommandError> {
    let url = configuration.database.url()?;
    let options = ConnectOptions {
        max_connections: configuration.database.max_connections,
        acquire_timeout: Duration::from_secs(10),
        listener_url: configuration.database.listener_url()?,
        read_only,
    };
    Ok(store::connect(url.expose(), options).await?)
}

/// How many rows pass between two lines of progress.
const PROGRESS_STEP: u64 = 500_000;

/// Loads all decision data.
pub(super) async fn load(store: &dyn Store) -> Result<Snapshot, CommandError> {
    let mut builder = SnapshotBuilder::default();
    let mut rows: u64 = 0;
    let revision = store
        .load(&mut |fact| {
            builder.add(fact);
            rows += 1;
            if rows.is_multiple_of(PROGRESS_STEP) {
                tracing::info!(rows, "loading decision data");
            }
        })
        .await?;
    let snapshot = builder.finish(revision);
    tracing::info!(rows, tokens = snapshot.token_count(), %revision, "decision data loaded");
    Ok(snapshot)
}

/// Runs a command's work to its end on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
