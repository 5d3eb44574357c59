//! What an operator sees: logs, metrics, traces.
//!
//! **For:** where log lines go and what they look like (other rooms write them with `tracing`), how numbers are shown to
//! Prometheus, how spans reach a collector.
//!
//! **Must never know:** what is being decided. It holds no secret, and no room hands it one.
//!
//! **To add one more** exporter: a module here, a section in the configuration.

mod decisions;
mod logs;
mod metrics;
mod traces;

pub use decisions::{DecisionMetrics, FaultKind};
pub use logs::{LogError, LogFormat, LogLevel, RequestLines, start_log};
pub use metrics::{HistogramReading, Labels, Metrics};
pub use traces::{Span, TraceError, TraceSettings, Traces};
