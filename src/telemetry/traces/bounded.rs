//! What becomes of spans: those that wait are so many at most, and each is counted once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};

/// What became of the spans.
#[derive(Debug, Default)]
pub(super) struct Counts {
    waiting: AtomicUsize,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    failing: AtomicBool,
}

/// What became of a span.
#[derive(Clone, Copy, Debug)]
pub(super) enum SpanResult {
    Exported,
    Failed,
    Dropped,
}

impl SpanResult {
    pub const ALL: [Self; 3] = [Self::Exported, Self::Failed, Self::Dropped];

    /// The value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

impl Counts {
    /// How many this became of.
    #[allow(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
    pub fn of(&self, result: SpanResult) -> f64 {
        let counter = match result {
            SpanResult::Exported => &self.exported,
            SpanResult::Failed => &self.failed,
            SpanResult::Dropped => &self.dropped,
        };
        counter.load(Ordering::Relaxed) as f64
    }
}

/// Hands spans on while there is room.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    next: P,
    most: usize,
    counts: Arc<Counts>,
}

impl<P> Bounded<P> {
    /// `most`: no more than `next` has room for, which would drop them without a word.
    pub const fn new(next: P, most: usize, counts: Arc<Counts>) -> Self {
        Self { next, most, counts }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.counts.waiting.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Counts what it sends, and tells the log when that begins to fail and when it works again.
#[derive(Debug)]
pub(super) struct Counting<E> {
    next: E,
    url: String,
    counts: Arc<Counts>,
}

impl<E> Counting<E> {
    /// `url`: where `next` sends to, without a secret.
    pub const fn new(next: E, url: String, counts: Arc<Counts>) -> Self {
        Self { next, url, counts }
    }
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (counts, sent) = (&self.counts, batch.len());
        let result = self.next.export(batch).await;
        counts.waiting.fetch_sub(sent, Ordering::Relaxed);
        let of_this = if result.is_ok() { &counts.exported } else { &counts.failed };
        of_this.fetch_add(sent as u64, Ordering::Relaxed);
        let failed_before = counts.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !failed_before => {
                let url = &self.url;
                tracing::warn!(url, %error, "the trace collector does not take spans: they are lost; decisions go on");
            }
            Ok(()) if failed_before => tracing::info!("the trace collector takes spans again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    };

    use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
    use opentelemetry_sdk::{
        error::{OTelSdkError, OTelSdkResult},
        trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
    };

    use super::{Bounded, Counting, Counts, SpanResult};

    /// Says that it has begun, and ends when it is told how.
    #[derive(Debug)]
    struct Held {
        begun: Mutex<Sender<usize>>,
        result: Mutex<Receiver<bool>>,
    }

    impl SpanExporter for Held {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.begun.lock().unwrap().send(batch.len()).unwrap();
            match self.result.lock().unwrap().recv() {
                Ok(true) => Ok(()),
                _ => Err(OTelSdkError::InternalFailure("no".to_owned())),
            }
        }
    }

    #[test]
    fn each_span_is_counted_once_whatever_becomes_of_it() {
        let ((begun, has_begun), (result, results)) = (channel(), channel());
        let counts = Arc::new(Counts::default());
        let held = Held { begun: Mutex::new(begun), result: Mutex::new(results) };
        let config = BatchConfigBuilder::default().with_max_queue_size(64).with_max_export_batch_size(4);
        let batches = BatchSpanProcessor::builder(Counting::new(held, String::new(), Arc::clone(&counts)));
        let processor =
            Bounded::new(batches.with_batch_config(config.build()).build(), 8, Arc::clone(&counts));
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let tracer = provider.tracer("t");
        let hand_in = |count: usize| (0..count).for_each(|_| tracer.start("s").end());
        let numbers = || SpanResult::ALL.map(|result| counts.of(result));

        // A batch is full, and the collector takes its time.
        hand_in(4);
        assert_eq!(has_begun.recv().unwrap(), 4);
        hand_in(6);
        assert_eq!(numbers(), [0.0, 0.0, 2.0], "there is room for 8, of which 4 are on their way");
        result.send(true).unwrap();
        assert_eq!(has_begun.recv().unwrap(), 4);
        result.send(false).unwrap();
        provider.force_flush().unwrap();
        assert_eq!(numbers(), [4.0, 4.0, 2.0]);
        hand_in(1);
        result.send(true).unwrap();
        provider.shutdown().unwrap();
        assert_eq!(numbers(), [5.0, 4.0, 2.0]);
    }
}
