//! What an operator sees: logs and metrics; traces later.
//!
//! **For:** where log lines go and what they look like (other rooms write them with `tracing`), and how
//! numbers are shown to Prometheus.
//!
//! **Must never know:** what is being decided. It holds no secret, and no room hands it one.
//!
//! **To add one more** exporter: a module here, a section in the configuration.

mod decisions;
mod metrics;

use std::io::{self, IsTerminal};

pub use decisions::{DecisionMetrics, FaultKind};
pub use metrics::{HistogramReading, Labels, Metrics};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

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

/// The log cannot be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// The level is not one.
    #[error(
        "the log level is not valid: write error, warn, info, debug, trace, or a filter such as regate::policy=debug"
    )]
    Level(#[source] tracing_subscriber::filter::ParseError),
    /// There is a log already.
    #[error("the log was set up before")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends log lines to standard error. Call it once.
///
/// # Errors
/// [`LogError`] for a level that cannot be read.
pub fn start_log(format: LogFormat, level: &str) -> Result<(), LogError> {
    // The crate that watches folders tells of each folder that went away before its watch: not news. A
    // filter that names the crate stands above this one.
    let filter = EnvFilter::try_new(format!("notify=warn,{level}")).map_err(LogError::Level)?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => registry.with(lines.with_target(false)).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    }
    .map_err(LogError::Twice)
}
