//! `[limits]`: where calls are counted.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    ConfigurationError,
    sections::{duration, optional_secret, secret_of_file},
};
use crate::types::SecretText;

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSection {
    /// The Redis that several processes count in; without one each process counts for itself.
    #[serde(deserialize_with = "optional_secret")]
    pub(super) redis_url: Option<SecretText>,
    /// A file that holds the URL, in place of `redis_url`.
    pub redis_url_file: Option<PathBuf>,
    /// How long Redis may take before this process counts by itself.
    #[serde(deserialize_with = "duration")]
    pub redis_timeout: Duration,
    /// The most keys that this process counts apart.
    pub max_keys: usize,
}

impl Default for LimitSection {
    fn default() -> Self {
        Self {
            redis_url: None,
            redis_url_file: None,
            redis_timeout: Duration::from_millis(50),
            max_keys: 1_000_000,
        }
    }
}

impl LimitSection {
    /// The URL of Redis, if several processes count together.
    ///
    /// # Errors
    /// [`ConfigurationError`] when its file cannot be read.
    pub(in crate::cli) fn redis_url(&self) -> Result<Option<SecretText>, ConfigurationError> {
        match &self.redis_url_file {
            Some(path) => secret_of_file(path).map(Some),
            None => Ok(self.redis_url.clone()),
        }
    }

    /// # Errors
    /// [`ConfigurationError::Value`].
    pub(super) fn check(&self) -> Result<(), ConfigurationError> {
        let wrong = |key: &'static str, problem: &str| {
            Err(ConfigurationError::Value { key: key.into(), problem: problem.to_owned() })
        };
        if self.redis_url.is_some() && self.redis_url_file.is_some() {
            return wrong("limits.redis_url", "set it or limits.redis_url_file, not both");
        }
        if !(1_000..=100_000_000).contains(&self.max_keys) {
            return wrong("limits.max_keys", "it has to be between 1000 and 100000000");
        }
        Ok(())
    }
}
