//! How commands reach the store.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use rand::{SeedableRng, rngs::StdRng};

use super::{
    configuration::{self, Configuration},
    exit::CommandError,
    printable::printable,
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
    /// sqlite://FILE (made when missing by commands that add rows), sqlite::memory: or postgres://…
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

    /// Runs work on the store to its end, and closes it.
    pub(super) fn run<T>(
        &self,
        access: Access,
        work: impl AsyncFnOnce(&dyn Store) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        block_on(async {
            let configuration = self.configuration()?;
            let store = match access {
                Access::Read => connect_to_read(&configuration).await?,
                Access::Change => open_to_change(&configuration).await?,
                Access::Add => open_and_tell(&configuration).await?,
            };
            let done = work(&*store).await?;
            store.close().await;
            Ok(done)
        })
    }
}

/// What a command is about to do to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Look at rows: nothing is made, and the tables stay as they are.
    Read,
    /// Change or remove rows: where there is no SQLite file there are none, and none is made.
    Change,
    /// Add rows: a missing SQLite file is made, which is told.
    Add,
}

/// A SQLite file that the configuration names and that is not there.
fn missing_file(configuration: &Configuration) -> Result<Option<PathBuf>, CommandError> {
    let file = store::sqlite_file(configuration.database.url()?.expose());
    Ok(file.filter(|file| !file.exists()))
}

fn refuse_missing_file(configuration: &Configuration) -> Result<(), CommandError> {
    let Some(file) = missing_file(configuration)? else { return Ok(()) };
    Err(CommandError::Refused(format!(
        "there is no database at {}: name another one (--database-url, REGATE_DATABASE__URL, or url in [database] of \
         the file of --config); this one is made by regate serve, migrate, import, token mint and the puts",
        file.display()
    )))
}

/// Opens the store to change what is there: where there is no SQLite file there is nothing.
pub(super) async fn open_to_change(configuration: &Configuration) -> Result<Arc<dyn Store>, CommandError> {
    refuse_missing_file(configuration)?;
    open(configuration).await
}

/// Opens the store to add rows to it. That there was none before is told on standard error: it may be a mistake.
pub(super) async fn open_and_tell(configuration: &Configuration) -> Result<Arc<dyn Store>, CommandError> {
    let missing = missing_file(configuration)?;
    let store = open(configuration).await?;
    if let Some(file) = missing {
        let file = file.display().to_string();
        let _ = writeln!(io::stderr(), "regate: there was no database at {0}: it was made", printable(&file));
    }
    Ok(store)
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
    refuse_missing_file(configuration)?;
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

/// Which database the configuration names, without user and password.
pub(super) fn described(configuration: &Configuration) -> Result<String, CommandError> {
    let url = configuration.database.url()?;
    Ok(match store::sqlite_file(url.expose()) {
        Some(file) => printable(&file.display().to_string()).to_string(),
        None => without_user(url.expose()),
    })
}

/// Scheme, host, port and name of a URL. Where it cannot be told what belongs to a password, the scheme alone.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.split(':').next().unwrap_or_default().to_owned();
    };
    let begin = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = begin.split_at(begin.find('/').unwrap_or(begin.len()));
    let signs = |text: &str| text.matches('@').count();
    if signs(rest) != signs(authority) {
        return scheme.to_owned();
    }
    let host = authority.rsplit('@').next().unwrap_or_default();
    printable(&format!("{scheme}://{host}{path}")).to_string()
}

/// Randomness for secrets, seeded by the operating system.
pub(super) fn randomness() -> Result<StdRng, CommandError> {
    StdRng::try_from_rng(&mut rand::rngs::SysRng)
        .map_err(|error| CommandError::Refused(format!("no randomness to make a secret from: {error}")))
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

#[cfg(test)]
mod tests {
    use super::without_user;

    #[test]
    fn a_database_is_named_without_its_password() {
        for (url, named) in [
            (
                "postgres://u:hunter2@db.example:5432/regate?sslmode=require",
                "postgres://db.example:5432/regate",
            ),
            ("postgres://db.example/regate?user=u&password=hunter2", "postgres://db.example/regate"),
            ("postgres://u:hun@ter2@db/regate", "postgres://db/regate"),
            ("postgres://u:hun?hunter2@db/regate", "postgres"),
            ("postgres://u:hun/hunter2@db/regate", "postgres"),
            ("postgres://db/regate?password=hunter@2", "postgres"),
            ("sqlite::memory:", "sqlite"),
        ] {
            assert_eq!(without_user(url), named);
        }
    }
}
