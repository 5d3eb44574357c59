//! `[audit]`: where decisions are recorded, what is promised of it, and how long they are kept.

use std::path::PathBuf;

use ::http::{HeaderName, header::AUTHORIZATION};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigurationError, reference};
use crate::audit::{Promise, RecordedParts, SpoolOptions};

/// A hundred years: what is meant to be longer is meant to be forever.
const MAX_DAYS: u32 = 36_500;

/// What is promised of the record of a decision that was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditMode {
    /// The record is on the disk: it survives the end of the machine.
    Durable,
    /// The operating system has the record: it survives the end of this process, however it ends.
    #[default]
    Spooled,
    /// Nothing is recorded.
    Off,
}

/// How long records are kept in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// So many days.
    Days(u32),
    /// As long as the database.
    Forever,
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Days(u32),
            Word(String),
        }
        let wrong = || {
            serde::de::Error::custom(format!(
                "it has to be a number of days, 1 to {MAX_DAYS}, or \"forever\""
            ))
        };
        match Given::deserialize(deserializer).map_err(|_| wrong())? {
            Given::Days(days) if (1..=MAX_DAYS).contains(&days) => Ok(Self::Days(days)),
            Given::Word(word) if word == "forever" => Ok(Self::Forever),
            // Variables are texts.
            Given::Word(word) => match word.parse() {
                Ok(days) if (1..=MAX_DAYS).contains(&days) => Ok(Self::Days(days)),
                _ => Err(wrong()),
            },
            Given::Days(_) => Err(wrong()),
        }
    }
}

/// `[audit]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSection {
    /// What is promised of a decision's record when the decision is answered.
    pub mode: AuditMode,
    /// The folder of records that are not in the database yet. Each process needs one of its own; the usual one is
    /// numbered where another process has it.
    #[schemars(extend("format" = "path"))]
    pub spool: PathBuf,
    /// The most bytes in the spool, at least twice `segment_bytes`: what would exceed them is denied
    /// (`audit.unavailable`).
    pub max_spool_bytes: u64,
    /// The bytes of one of its files.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub segment_bytes: u64,
    /// How many days the database keeps records, 1 to 36500, or `"forever"`.
    #[serde(serialize_with = "reference::days")]
    #[schemars(schema_with = "reference::retention")]
    pub retention_days: Retention,
    /// Headers of the request that are recorded; a list here replaces this one. [Replay](replay.md) and
    /// explanations of recorded decisions see these and no others. Never `authorization`.
    pub headers: Vec<String>,
    /// Paths that name a project, with `{project}` in its place.
    pub project_paths: Vec<String>,
}

/// The usual folder of the spool, in the present one.
const USUAL_SPOOL: &str = "regate-spool";

impl Default for AuditSection {
    fn default() -> Self {
        Self {
            mode: AuditMode::default(),
            spool: PathBuf::from(USUAL_SPOOL),
            max_spool_bytes: 1024 * 1024 * 1024,
            segment_bytes: 16 * 1024 * 1024,
            retention_days: Retention::Days(90),
            headers: RecordedParts::USUAL_HEADERS.map(str::to_owned).to_vec(),
            project_paths: RecordedParts::USUAL_PROJECTS.map(str::to_owned).to_vec(),
        }
    }
}

impl AuditSection {
    /// Whether somebody said which folder.
    pub(in crate::cli) fn is_named(&self) -> bool {
        self.spool != *USUAL_SPOOL
    }

    /// The spool; `None` in the mode `off`.
    pub(in crate::cli) fn spool_options(&self) -> Option<SpoolOptions> {
        let promise = match self.mode {
            AuditMode::Durable => Promise::Durable,
            AuditMode::Spooled => Promise::Spooled,
            AuditMode::Off => return None,
        };
        Some(SpoolOptions {
            folder: self.spool.clone(),
            promise,
            max_bytes: self.max_spool_bytes,
            segment_bytes: self.segment_bytes,
        })
    }

    /// Which parts of a question are recorded.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`].
    pub(in crate::cli) fn recorded_parts(&self) -> Result<RecordedParts, ConfigurationError> {
        let headers = self.headers.iter().map(String::as_str);
        let projects = self.project_paths.iter().map(String::as_str);
        RecordedParts::read(headers, projects).map_err(|error| ConfigurationError::Value {
            key: "audit.project_paths".into(),
            problem: error.to_string(),
        })
    }

    /// # Errors
    /// [`ConfigurationError::Value`] for sizes that do not go together.
    pub(super) fn check(&self) -> Result<(), ConfigurationError> {
        const LEAST_SEGMENT: u64 = 64 * 1024;
        const MOST_SEGMENT: u64 = 1024 * 1024 * 1024;
        let wrong =
            |key: &'static str, problem: String| Err(ConfigurationError::Value { key: key.into(), problem });
        if !(LEAST_SEGMENT..=MOST_SEGMENT).contains(&self.segment_bytes) {
            let problem = format!("{} is not between {LEAST_SEGMENT} and {MOST_SEGMENT}", self.segment_bytes);
            return wrong("audit.segment_bytes", problem);
        }
        if self.max_spool_bytes < self.segment_bytes.saturating_mul(2) {
            let problem = "it has to be at least twice segment_bytes".to_owned();
            return wrong("audit.max_spool_bytes", problem);
        }
        if self.spool.as_os_str().is_empty() {
            return wrong("audit.spool", "it is empty: name a folder, or leave it out".to_owned());
        }
        for name in &self.headers {
            let Ok(header) = name.trim().parse::<HeaderName>() else {
                return wrong("audit.headers", format!("{name:?} is no name of a header"));
            };
            if header == AUTHORIZATION {
                return wrong(
                    "audit.headers",
                    "authorization holds a credential: it is never recorded".to_owned(),
                );
            }
        }
        self.recorded_parts().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::configuration::Configuration;

    fn read(line: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regate.toml");
        std::fs::write(&path, line).unwrap();
        let read = Configuration::read(Some(&path), std::iter::empty());
        read.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_recorded_is_named() {
        for (line, key) in [
            ("spool = \"\"", "audit.spool"),
            ("headers = [\"x-a\", \"x b\"]", "audit.headers"),
            ("headers = [\"\"]", "audit.headers"),
            ("headers = [\"Authorization\"]", "audit.headers"),
            ("segment_bytes = 65535", "audit.segment_bytes"),
            ("segment_bytes = 1073741825", "audit.segment_bytes"),
            ("segment_bytes = 65536\nmax_spool_bytes = 131071", "audit.max_spool_bytes"),
            ("retention_days = 0", "audit.retention_days"),
            ("project_paths = [\"/p\"]", "audit.project_paths"),
        ] {
            let said = read(&format!("[audit]\n{line}"));
            assert!(said.contains(key), "{line}: {said}");
        }
        for line in [
            "headers = []",
            "headers = [\"X-A\"]",
            "spool = \"records\"",
            "segment_bytes = 65536\nmax_spool_bytes = 131072",
            "retention_days = \"forever\"",
        ] {
            assert_eq!(read(&format!("[audit]\n{line}")), "");
        }
    }
}
