//! Spans, by OTLP over HTTP, to a collector.
//!
//! **For:** one span for each request, made when the request is over. A collector that fails, is slow or is not there never
//! holds up whoever hands a span in: what there is no room for is dropped, and counted.
//!
//! **Must never know:** a header's value, a path as a client wrote it. Whoever describes a span sees to it.

mod bounded;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue, Value,
    trace::{
        Event, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
        TraceState, Tracer, TracerProvider,
    },
};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider},
};
use thiserror::Error;

use self::bounded::{Bounded, Counting, Counts, SpanResult};
use super::Metrics;
use crate::types::{Timestamp, TraceParent};

/// Spans that wait to be sent, at most.
const MOST_WAITING: usize = 8192;
/// Spans in one message to the collector.
const BATCH: usize = 512;
/// Between two messages, where fewer wait.
const PAUSE: Duration = Duration::from_secs(1);
/// So long the collector may take for a message.
const EXPORT_TIME: Duration = Duration::from_secs(5);
/// So long the end waits for the collector to take the last spans.
const LAST_EXPORT_TIME: Duration = Duration::from_secs(2);
/// Where collectors take spans, behind the endpoint.
const PATH: &str = "/v1/traces";

/// Where spans go, and which.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// The collector, such as `http://127.0.0.1:4318`, with or without `/v1/traces`. It holds no secret: it is logged.
    pub endpoint: String,
    /// Which part of the traces is recorded that begin here, from 0 to 1. Others are where their sender records them.
    pub sample_ratio: f64,
    /// What this process is called in the traces.
    pub service_name: String,
}

/// Traces cannot be set up.
#[derive(Debug, Error)]
#[error("no spans can be sent to the collector")]
pub struct TraceError(#[from] ExporterBuildError);

/// What is told of a request.
#[derive(Debug, Default)]
pub struct Span {
    /// A name of which there are few.
    pub name: Cow<'static, str>,
    /// Names and values. None is a secret.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened on the way, each with its attributes.
    pub events: Vec<(&'static str, Vec<(&'static str, Value)>)>,
    /// Whether it failed for a reason of regate's own.
    pub failed: bool,
}

/// Where spans are handed in.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    counts: Arc<Counts>,
}

impl Traces {
    /// Begins to send spans from a thread of its own. Nothing is sent before there is one.
    ///
    /// INVARIANT: not within an async context, and neither is [`stop`](Self::stop): the client that sends them has a runtime
    /// of its own, which may not be made or dropped there.
    ///
    /// # Errors
    /// [`TraceError`] when the endpoint is no URL.
    pub fn start(settings: &TraceSettings) -> Result<Self, TraceError> {
        let url = where_to(&settings.endpoint);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url.clone())
            .with_timeout(EXPORT_TIME)
            .with_headers(
                [("user-agent".to_owned(), concat!("regate/", env!("CARGO_PKG_VERSION")).to_owned())].into(),
            )
            .build()?;
        let counts = Arc::new(Counts::default());
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(MOST_WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(PAUSE)
            .build();
        let batches = BatchSpanProcessor::builder(Counting::new(exporter, url, Arc::clone(&counts)));
        let processor =
            Bounded::new(batches.with_batch_config(config).build(), MOST_WAITING, Arc::clone(&counts));
        let resource = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let ratio = Sampler::TraceIdRatioBased(settings.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer_with_scope(InstrumentationScope::builder("regate").build());
        Ok(Self { provider, tracer, counts })
    }

    /// Hands in the span of a request that is over. `describe` is asked only where it is recorded. Gives the trace: 32
    /// hexadecimal digits, where it is recorded.
    pub fn note(
        &self,
        parent: Option<&TraceParent>,
        begun: Timestamp,
        time: Duration,
        describe: impl FnOnce() -> Span,
    ) -> Option<String> {
        let begun = moment(begun);
        let context = parent
            .and_then(remote)
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = self.tracer.span_builder("").with_kind(SpanKind::Server).with_start_time(begun);
        let mut span = self.tracer.build_with_context(builder, &context);
        if !span.is_recording() {
            return None;
        }
        let Span { name, attributes, events, failed } = describe();
        let pairs = |pairs: Vec<(&'static str, Value)>| {
            pairs.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect::<Vec<_>>()
        };
        span.update_name(name);
        span.set_attributes(pairs(attributes));
        let end = begun.checked_add(time).unwrap_or(begun);
        for (name, attributes) in events {
            let Event { name, timestamp, attributes, .. } = Event::new(name, end, pairs(attributes), 0);
            span.add_event_with_timestamp(name, timestamp, attributes);
        }
        if failed {
            span.set_status(Status::error(""));
        }
        let trace = span.span_context().trace_id().to_string();
        span.end_with_timestamp(end);
        Some(trace)
    }

    /// Shows what became of the spans.
    pub fn show(&self, metrics: &mut Metrics) {
        for result in SpanResult::ALL {
            let counts = Arc::clone(&self.counts);
            metrics.labelled_counter(
                "trace_spans",
                "Spans that the collector took, that it did not take, and for which there was no room",
                [("result", result.as_str().to_owned())],
                move || counts.of(result),
            );
        }
    }

    /// Ends. Sends what waits first, unless nobody has the time; a collector that does not answer is not waited for.
    pub fn stop(&self, in_a_hurry: bool) {
        let time = if in_a_hurry { Duration::ZERO } else { LAST_EXPORT_TIME };
        // What cannot be sent has been counted, and said.
        let _ = self.provider.shutdown_with_timeout(time);
    }
}

/// The endpoint with the path behind it, unless it is there already.
fn where_to(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    let base = endpoint.strip_suffix(PATH).unwrap_or(endpoint);
    format!("{base}{PATH}")
}

fn moment(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(time.unix_millis()).unwrap_or_default())
}

/// The span of somebody else that asked.
fn remote(parent: &TraceParent) -> Option<SpanContext> {
    let trace = TraceId::from_hex(parent.trace_id()).ok()?;
    let span = SpanId::from_hex(parent.parent_id()).ok()?;
    let flags = if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Some(SpanContext::new(trace, span, flags, true, TraceState::default()))
}

#[cfg(test)]
mod tests {
    use super::where_to;

    #[test]
    fn the_path_is_there_once() {
        for endpoint in ["http://a:1", "http://a:1/", "http://a:1/v1/traces", "http://a:1/v1/traces/"] {
            assert_eq!(where_to(endpoint), "http://a:1/v1/traces", "{endpoint}");
        }
        assert_eq!(where_to("http://a:1/otlp"), "http://a:1/otlp/v1/traces");
    }
}
