//! The counters of one face: a set for each thread, put together when somebody looks.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::lane::{LANES, Lane};
use crate::telemetry::metrics::HistogramReading;

/// The bounds of the buckets, in nanoseconds: from what a decision takes when nothing is in its way to what nobody waits for.
const LATENCY_BOUNDS: [u64; 15] = [
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
];
/// An evaluation has a budget of time, and most take a few microseconds.
const EVALUATION_BOUNDS: [u64; 13] = [
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    50_000_000,
    250_000_000,
];

/// What one face was asked, by thread.
#[derive(Debug, Default)]
pub(super) struct FaceCounts {
    shards: [OnceLock<Box<Shard>>; LANES],
}

/// Aligned, so that no two threads write to one cache line.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    /// By the place of the reason: denied, allowed.
    decisions: Box<[[AtomicU64; 2]]>,
    pub latency: Histogram<15>,
    pub evaluation: Histogram<13>,
}

impl FaceCounts {
    /// The counters of a thread, with places for so many reasons.
    pub fn shard(&self, lane: Lane, places: usize) -> &Shard {
        self.shards[lane.number()].get_or_init(|| {
            Box::new(Shard {
                decisions: (0..places).map(|_| Default::default()).collect(),
                latency: Histogram::new(&LATENCY_BOUNDS),
                evaluation: Histogram::new(&EVALUATION_BOUNDS),
            })
        })
    }

    /// Whether it was ever asked.
    pub fn is_used(&self) -> bool {
        self.used().next().is_some()
    }

    /// How many were allowed or denied, by the place of the reason, where it is not 0.
    pub fn decisions(&self, allow: bool) -> Vec<(usize, u64)> {
        let mut sums = Vec::new();
        for shard in self.used() {
            sums.resize(shard.decisions.len(), 0_u64);
            for (sum, counts) in sums.iter_mut().zip(&shard.decisions) {
                *sum = sum.wrapping_add(counts[usize::from(allow)].load(Ordering::Relaxed));
            }
        }
        sums.into_iter().enumerate().filter(|(_, sum)| *sum > 0).collect()
    }

    pub fn latency(&self) -> HistogramReading {
        Histogram::read(self.used().map(|shard| &shard.latency))
    }

    pub fn evaluation(&self) -> HistogramReading {
        Histogram::read(self.used().map(|shard| &shard.evaluation))
    }

    fn used(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter_map(|shard| shard.get().map(AsRef::as_ref))
    }
}

impl Shard {
    /// `lane`: the one that it is the shard of.
    pub fn count(&self, lane: Lane, allow: bool, place: usize) {
        if let Some(counts) = self.decisions.get(place) {
            lane.add(&counts[usize::from(allow)], 1);
        }
    }
}

/// How often something took how long, with `N` bounds.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    /// In nanoseconds, rising.
    bounds: &'static [u64; N],
    buckets: [AtomicU64; N],
    /// Longer than the last bound.
    beyond: AtomicU64,
    /// In nanoseconds.
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    fn new(bounds: &'static [u64; N]) -> Self {
        let buckets = std::array::from_fn(|_| AtomicU64::new(0));
        Self { bounds, buckets, beyond: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    pub fn note(&self, lane: Lane, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // Most are in the first few.
        let bucket = self.bounds.iter().take_while(|bound| nanos > **bound).count();
        let bucket = self.buckets.get(bucket).unwrap_or(&self.beyond);
        lane.add(bucket, 1);
        lane.add(&self.sum, nanos);
    }

    #[allow(clippy::cast_precision_loss, reason = "a sum of times needs no last digit")]
    fn read<'h>(all: impl Iterator<Item = &'h Self>) -> HistogramReading {
        const NANOS: f64 = 1e9;
        let mut reading = HistogramReading::default();
        for one in all {
            if reading.buckets.is_empty() {
                let bounds = one.bounds.iter().map(|bound| *bound as f64 / NANOS);
                reading.buckets = bounds.chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
            }
            let counts = one.buckets.iter().chain([&one.beyond]);
            for ((_, sum), count) in reading.buckets.iter_mut().zip(counts) {
                *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
            }
            reading.sum += one.sum.load(Ordering::Relaxed) as f64 / NANOS;
        }
        reading
    }
}
