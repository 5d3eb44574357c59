//! Where log lines go, what they look like, and which there are.

use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// What log lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which requests have a line of their own, at their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestLines {
    /// None.
    None,
    /// Those that regate refused or failed to answer. What was decided is in the decision log, also where it was denied.
    #[default]
    Refused,
    /// Every one. A line takes longer than a decision.
    All,
}

/// The log cannot be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// The level is not one.
    #[error(
        "the log level is not valid: write error, warn, info, debug, trace, or a filter such as regate::policy=debug"
    )]
    Level(#[source] tracing_subscriber::filter::ParseError),
    /// A word that is no level. The filter would take it for the name of a module, and drop all other lines.
    #[error(
        "log.level: {0:?} is no level: write error, warn, info, debug, trace, off, or a filter such as regate::policy=debug"
    )]
    Word(String),
    /// There is a log already.
    #[error("the log was set up before")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// It is gone.
    #[error("there is no log any more")]
    Gone(#[source] reload::Error),
}

/// The level of the log, which can be changed while the process runs.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Puts another level, or another filter, in the place of the present one.
    ///
    /// # Errors
    /// [`LogError::Level`] or [`LogError::Word`] for one that cannot be read: the present one stays.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        self.0.reload(filter(level)?).map_err(LogError::Gone)
    }
}

/// Sends log lines to standard error. Call it once.
///
/// # Errors
/// [`LogError`] for a level that cannot be read.
pub fn start_log(format: LogFormat, level: &str) -> Result<LogLevel, LogError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => registry.with(lines.with_target(false)).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    }
    .map_err(LogError::Twice)?;
    Ok(LogLevel(handle))
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let parts = || level.split(',').map(str::trim).filter(|part| !part.is_empty());
    let is_level = |part: &str| LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level));
    let is_directive = |part: &str| part.contains(['=', '[']) || part.contains("::");
    if let Some(word) = parts().find(|part| !is_level(part) && !is_directive(part)) {
        return Err(LogError::Word(word.to_owned()));
    }
    if parts().next().is_none() {
        return Err(LogError::Word(level.to_owned()));
    }
    // The crate that watches folders tells of each folder that went away before its watch: not news. A
    // filter that names the crate stands above this one.
    EnvFilter::try_new(format!("notify=warn,{level}")).map_err(LogError::Level)
}

#[cfg(test)]
mod tests {
    use super::{LogError, filter};

    #[test]
    fn a_word_is_a_level_or_an_error() {
        for level in
            ["info", "WARN", "off", "info,regate::policy=debug", "regate=trace", " warn , regate::api"]
        {
            assert!(filter(level).is_ok(), "{level}");
        }
        for (level, word) in [("wran", "wran"), ("info,regat", "regat"), ("", ""), (" , ", " , "), ("3", "3")]
        {
            assert!(matches!(filter(level), Err(LogError::Word(said)) if said == word), "{level}");
        }
        assert!(matches!(filter("regate=loud"), Err(LogError::Level(_))));
    }
}
