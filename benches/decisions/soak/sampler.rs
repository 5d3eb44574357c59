//! What regate holds and how it answers, second by second.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{
    Soak, program,
    tally::{Counts, histogram},
};

/// One second.
pub struct Sample {
    /// Since the beginning of the soak.
    pub second: f64,
    pub memory: u64,
    pub files: usize,
    pub latencies: Histogram<u64>,
    pub refusals: Counts,
    /// Something was away.
    pub faulty: bool,
}

/// The quantiles that are shown.
pub const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

impl Sample {
    /// A quantile of the latencies, in milliseconds.
    pub fn latency(&self, quantile: f64) -> f64 {
        milliseconds(&self.latencies, quantile)
    }

    pub fn json(&self) -> Value {
        let quantiles: serde_json::Map<String, Value> = QUANTILES
            .iter()
            .map(|(name, quantile)| ((*name).to_owned(), json!(self.latency(*quantile))))
            .collect();
        json!({
            "second": self.second.round(), "memory_bytes": self.memory, "files": self.files,
            "answers": self.latencies.len(), "latency_ms": quantiles,
            "refusals": self.refusals, "faulty": self.faulty,
        })
    }
}

/// A quantile in milliseconds.
pub fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

/// Several seconds as one: the memory and files of the last, and all latencies.
pub fn gathered(samples: &[Sample], seconds: usize) -> Vec<Sample> {
    samples
        .chunks(seconds)
        .filter_map(|chunk| {
            let last = chunk.last()?;
            let mut latencies = histogram();
            let mut refusals = Counts::new();
            for sample in chunk {
                latencies.add(&sample.latencies).expect("as large");
                for (reason, count) in &sample.refusals {
                    *refusals.entry(reason.clone()).or_default() += count;
                }
            }
            let faulty = chunk.iter().any(|sample| sample.faulty);
            Some(Sample {
                second: last.second,
                memory: last.memory,
                files: last.files,
                latencies,
                refusals,
                faulty,
            })
        })
        .collect()
}

/// All samples so far.
pub type Samples = Arc<Mutex<Vec<Sample>>>;

/// Begins; it ends with the soak. Says every ten seconds how it goes.
pub fn begin(soak: &Arc<Soak>, process: u32) -> Samples {
    let samples: Samples = Arc::default();
    let (soak, into) = (Arc::clone(soak), Arc::clone(&samples));
    tokio::spawn(async move {
        let begun = Instant::now();
        let mut number = 0;
        while soak.goes_on() {
            number += 1;
            tokio::time::sleep_until((begun + Duration::from_secs(number)).into()).await;
            let (memory, files) = program::held_by(process);
            let second = soak.tally.take_second();
            let faulty = soak.outages.now();
            let mut samples = into.lock().unwrap();
            samples.push(Sample {
                second: begun.elapsed().as_secs_f64(),
                memory,
                files,
                latencies: second.latencies,
                refusals: second.refusals,
                faulty,
            });
            if number % 10 == 0 {
                let place = samples.len().saturating_sub(10);
                say(&soak, &gathered(&samples[place..], 10));
            }
        }
    });
    samples
}

fn say(soak: &Soak, last: &[Sample]) {
    let Some(last) = last.last() else { return };
    eprintln!(
        "{:5.0} s  {:6.0}/s  p50 {:6.2}  p99 {:8.2} ms  {:4.0} MiB  {:3} files  {:8} decisions, {} failed{}",
        last.second,
        last.latencies.len() as f64 / 10.0,
        last.latency(0.5),
        last.latency(0.99),
        last.memory as f64 / 1_048_576.0,
        last.files,
        soak.tally.decisions(),
        soak.tally.failures().0,
        if last.faulty { "  (faults)" } else { "" },
    );
}
