//! Reading an issuer's keys from where they are.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, StatusCode, Url, redirect};
use thiserror::Error;

use super::{
    Algorithm,
    key_set::{InvalidKeySet, KeySet},
    settings::{InvalidIssuer, KeysFrom, KeysUrl, is_trustworthy},
};
use crate::types::causes;

/// More bytes are no key set.
const MOST_BYTES: usize = 1024 * 1024;
/// How long a fetch may take, and how long until there is a connection.
const FETCH_TIME: Duration = Duration::from_secs(10);
const CONNECT_TIME: Duration = Duration::from_secs(5);
const MOST_REDIRECTS: usize = 3;

/// Where keys are read from.
pub(super) enum KeySource {
    Url { client: Client, url: Url },
    File(PathBuf),
    SharedSecret(PathBuf),
}

/// Why keys could not be read. Shows neither a key nor a query.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    /// No answer, or not in time.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// An answer that is not 200.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// Too large.
    #[error("there are more than {MOST_BYTES} bytes")]
    TooLarge,
    /// What was read is not what was asked for.
    #[error(transparent)]
    Invalid(#[from] InvalidKeySet),
}

impl From<reqwest::Error> for SourceError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(causes(&error.without_url()).join(": "))
    }
}

impl KeySource {
    /// Prepares what fetching needs.
    ///
    /// # Errors
    /// [`InvalidIssuer::Client`] when the system has no certificates that could be trusted.
    pub fn new(from: &KeysFrom) -> Result<Self, InvalidIssuer> {
        Ok(match from {
            KeysFrom::Url(KeysUrl(url)) => Self::Url { client: client(url)?, url: url.clone() },
            KeysFrom::File(path) => Self::File(path.clone()),
            KeysFrom::SharedSecret(path) => Self::SharedSecret(path.clone()),
        })
    }

    /// Reads keys that are in a file; `None` if they are elsewhere.
    ///
    /// # Errors
    /// [`InvalidIssuer::Keys`].
    pub fn read_file(&self, algorithms: &[Algorithm]) -> Result<Option<KeySet>, InvalidIssuer> {
        let (key, keys) = match self {
            Self::Url { .. } => return Ok(None),
            Self::File(path) => ("keys_file", key_set_of(path, algorithms)),
            Self::SharedSecret(path) => ("shared_secret_file", secret_of(path)),
        };
        // At the start it is a mistake; later an issuer may withdraw all its keys.
        let some = |keys: KeySet| match keys.len() {
            0 => Err(InvalidKeySet::NoUsableKey.into()),
            _ => Ok(Some(keys)),
        };
        keys.and_then(some).map_err(|source| InvalidIssuer::Keys { key, source })
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn read(&self, algorithms: &[Algorithm]) -> Result<KeySet, SourceError> {
        match self {
            Self::Url { client, url } => Ok(KeySet::read(&fetch(client, url).await?, algorithms)?),
            Self::File(path) => {
                let (path, algorithms) = (path.clone(), algorithms.to_vec());
                in_background(move || key_set_of(&path, &algorithms)).await
            }
            Self::SharedSecret(path) => {
                let path = path.clone();
                in_background(move || secret_of(&path)).await
            }
        }
    }
}

/// A file may lie on a disk that has gone away: no worker of the decisions' waits for it.
async fn in_background(
    read: impl FnOnce() -> Result<KeySet, SourceError> + Send + 'static,
) -> Result<KeySet, SourceError> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(io::Error::from(error).into()))
}

fn client(url: &Url) -> Result<Client, InvalidIssuer> {
    let builder = Client::builder()
        .timeout(FETCH_TIME)
        .connect_timeout(CONNECT_TIME)
        .user_agent(concat!("regate/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .pool_max_idle_per_host(0)
        .redirect(redirect::Policy::custom(|attempt| {
            let was_safe = attempt.previous().iter().any(|url| url.scheme() == "https");
            let is_safe = attempt.url().scheme() == "https";
            if attempt.previous().len() > MOST_REDIRECTS
                || (was_safe && !is_safe)
                || !is_trustworthy(attempt.url())
            {
                attempt.stop()
            } else {
                attempt.follow()
            }
        }));
    // What never leaves the machine needs no certificates, of which a system may have none; and no proxy.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]).no_proxy() } else { builder };
    builder.build().map_err(|error| InvalidIssuer::Client(causes(&error.without_url()).join(": ")))
}

async fn fetch(client: &Client, url: &Url) -> Result<Vec<u8>, SourceError> {
    let mut answer = client.get(url.clone()).header("accept", "application/json").send().await?;
    if answer.status() != StatusCode::OK {
        return Err(SourceError::Status(answer.status()));
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        if body.len() + part.len() > MOST_BYTES {
            return Err(SourceError::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn key_set_of(path: &Path, algorithms: &[Algorithm]) -> Result<KeySet, SourceError> {
    Ok(KeySet::read(&bounded(path)?, algorithms)?)
}

fn secret_of(path: &Path) -> Result<KeySet, SourceError> {
    // A line break at the end is the editor's.
    let bytes = bounded(path)?;
    let secret = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(KeySet::of_secret(secret.strip_suffix(b"\r").unwrap_or(secret))?)
}

fn bounded(path: &Path) -> Result<Vec<u8>, SourceError> {
    let file = File::open(path)?;
    // A pipe would be waited for.
    if !file.metadata()?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MOST_BYTES { Err(SourceError::TooLarge) } else { Ok(bytes) }
}
