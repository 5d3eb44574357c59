//! `[limits]`: where calls are counted.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    ConfigurationError, reference,
    sections::{duration, optional_secret, secret_of_file},
};
use crate::types::SecretText;

/// What Redis is given to answer: below, none would; above, calls would pile up.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(5);

/// `[limits]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSection {
    /// `redis://…`: the Redis that several processes count in. Without one each process counts for itself.
    #[serde(deserialize_with = "optional_secret")]
    #[schemars(schema_with = "reference::text")]
    pub(super) redis_url: Option<SecretText>,
    /// A file that holds the URL, in place of `redis_url`.
    #[schemars(extend("format" = "path"))]
    pub redis_url_file: Option<PathBuf>,
    /// How long Redis may take before this process counts by itself; `1ms` to `5s`.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub redis_timeout: Duration,
    /// The most keys that this process counts apart. While that many are in use, further ones share a window.
    #[schemars(range(min = 1_000, max = 100_000_000))]
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
        if !(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&self.redis_timeout) {
            return wrong("limits.redis_timeout", "it has to be between 1ms and 5s");
        }
        if !(1_000..=100_000_000).contains(&self.max_keys) {
            return wrong("limits.max_keys", "it has to be between 1000 and 100000000");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::configuration::Configuration;

    fn read(lines: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regate.toml");
        std::fs::write(&path, format!("[limits]\n{lines}")).unwrap();
        let read = Configuration::read(Some(&path), std::iter::empty());
        read.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_value_out_of_its_bounds_is_named() {
        for (line, key) in [
            ("redis_timeout = \"999us\"", "limits.redis_timeout"),
            ("redis_timeout = \"5001ms\"", "limits.redis_timeout"),
            ("redis_timeout = \"0s\"", "limits.redis_timeout"),
            ("max_keys = 999", "limits.max_keys"),
            ("max_keys = 100000001", "limits.max_keys"),
            ("redis_url = \"redis://:hunter2@x\"\nredis_url_file = \"x\"", "limits.redis_url"),
        ] {
            let said = read(line);
            assert!(said.contains(key) && !said.contains("hunter2"), "{line}: {said}");
        }
        for line in ["redis_timeout = \"1ms\"", "redis_timeout = \"5s\"", "max_keys = 1000"] {
            assert_eq!(read(line), "", "{line}");
        }
    }
}
