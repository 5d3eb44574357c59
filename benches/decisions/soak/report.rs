//! What the soak came to: the table, the file of its data, and whether all held.

use std::{fmt::Write, fs, path::Path};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{
    Soak,
    plot::{self, Mark},
    records::Records,
    sampler::{QUANTILES, Sample, gathered, milliseconds},
    tally::{Counts, histogram},
};

/// By so much the memory of the last third may be above that of the middle third, whichever is more.
const GROWTH_BYTES: u64 = 10 * 1024 * 1024;
const GROWTH_SHARE: f64 = 0.05;

/// Resident memory: the median of each third.
struct Memory([u64; 3]);

impl Memory {
    fn of(samples: &[Sample]) -> Self {
        let third = samples.len() / 3;
        Self([0, 1, 2].map(|number| {
            let mut values: Vec<u64> =
                samples[number * third..(number + 1) * third].iter().map(|sample| sample.memory).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or_default()
        }))
    }

    /// Whether it has come to rest.
    fn is_flat(&self) -> bool {
        let [_, middle, last] = self.0;
        last <= middle + GROWTH_BYTES.max((middle as f64 * GROWTH_SHARE) as u64)
    }
}

/// Prints and writes everything; gives whether all held.
pub fn finish(soak: &Soak, samples: &[Sample], records: &Records, output: &Path) -> bool {
    let memory = Memory::of(samples);
    if !memory.is_flat() {
        soak.tally.fail(format!("memory is not flat: {:?}", memory.0));
    }
    let marks: Vec<Mark> = soak
        .outages
        .all()
        .into_iter()
        .map(|outage| {
            let second = |at: std::time::Instant| at.duration_since(soak.began).as_secs_f64();
            let over = outage.over.map_or(f64::MAX, second);
            (second(outage.from), over, format!("{} {}", outage.what, outage.how))
        })
        .collect();
    let table = table(soak, samples, records, &memory);
    println!("\n{table}");
    fs::create_dir_all(output).expect("a folder for what came out");
    fs::write(output.join("soak.txt"), &table).expect("the table");
    for (name, seconds) in [("soak.json", 1), ("soak-10s.json", 10)] {
        let text = data(soak, &gathered(samples, seconds), &marks, &memory).to_string();
        // One row a line.
        let text = text.replace("{\"answers\"", "\n{\"answers\"");
        fs::write(output.join(name), text + "\n").expect("the data");
    }
    plot::draw(&output.join("soak.svg"), samples, &marks);
    println!("{}", output.display());
    soak.tally.failures().0 == 0
}

fn data(soak: &Soak, samples: &[Sample], marks: &[Mark], memory: &Memory) -> Value {
    let (failed, failures) = soak.tally.failures();
    json!({
        "seed": soak.seed, "rate": soak.rate, "failed": failed, "failures": failures,
        "memory_bytes": memory.0,
        "outages": marks.iter().map(|(from, until, what)| json!([from, until, what])).collect::<Vec<_>>(),
        "samples": samples.iter().map(Sample::json).collect::<Vec<_>>(),
    })
}

fn row(text: &mut String, what: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{what:<52} {value}");
}

fn counts(text: &mut String, what: &str, counts: &Counts) {
    if counts.is_empty() {
        row(text, what, "none");
    }
    for (number, (name, count)) in counts.iter().enumerate() {
        row(text, if number == 0 { what } else { "" }, format!("{count:>9}  {name}"));
    }
}

fn table(soak: &Soak, samples: &[Sample], records: &Records, memory: &Memory) -> String {
    let mut text = String::new();
    let tally = &soak.tally;
    let minutes = samples.last().map_or(0.0, |sample| sample.second / 60.0);
    row(&mut text, "minutes", format!("{minutes:.1}"));
    row(&mut text, "questions a second (callers), seed", format!("{}, {}", soak.rate, soak.seed));
    row(&mut text, "decisions compared with the model", records.answered);
    let wrong: u64 = tally.counted("wrong").values().sum();
    row(&mut text, "  of them wrong", wrong);
    counts(&mut text, "refusals, all stated", &tally.counted("refusals"));
    counts(&mut text, "changes of the data", &tally.counted("changes"));
    for (what, delays) in tally.delays() {
        row(&mut text, &format!("  {what}, ms"), quantiles(&delays));
    }
    counts(&mut text, "changes of the policy", &tally.counted("policies"));
    for outage in soak.outages.all() {
        let since = |at: Option<std::time::Instant>, from| {
            at.map_or(f64::NAN, |at: std::time::Instant| at.duration_since(from).as_secs_f64())
        };
        let away = since(outage.back, outage.from);
        let recovered = outage.back.map_or(f64::NAN, |back| since(outage.over, back));
        let what = format!("{} {}", outage.what, outage.how);
        let at = outage.from.duration_since(soak.began).as_secs_f64();
        let said = format!("at {at:5.0} s, for {away:4.1} s; well {recovered:5.2} s after");
        row(&mut text, &format!("  {what}"), said);
    }
    let hostile: u64 = tally.counted("hostile").values().sum();
    row(&mut text, "clients that hang or lie", hostile);
    row(
        &mut text,
        "decisions answered, and in the log once",
        format!("{} of {}", records.answered, records.in_the_log),
    );
    row(
        &mut text,
        "  shipped after the last question",
        format!("{:.1} s", records.shipped_after.as_secs_f64()),
    );
    row(&mut text, "  regate audit verify", &records.verified);
    let [begin, middle, last] = memory.0.map(|bytes| bytes as f64 / 1_048_576.0);
    let most = samples.iter().map(|sample| sample.memory).max().unwrap_or_default() as f64 / 1_048_576.0;
    row(
        &mut text,
        "resident memory, MiB: thirds' medians, most",
        format!("{begin:.1}, {middle:.1}, {last:.1}, {most:.1}"),
    );
    let files = samples.iter().map(|sample| sample.files);
    row(
        &mut text,
        "open files: first, most, last",
        format!(
            "{}, {}, {}",
            samples.first().map_or(0, |s| s.files),
            files.max().unwrap_or_default(),
            samples.last().map_or(0, |s| s.files)
        ),
    );
    row(&mut text, "latency while nothing was away, ms", quantiles(&all(samples, false)));
    row(&mut text, "latency while something was away, ms", quantiles(&all(samples, true)));
    let (failed, failures) = tally.failures();
    row(&mut text, "failed", failed);
    for failure in failures {
        row(&mut text, "", failure);
    }
    text
}

fn all(samples: &[Sample], faulty: bool) -> Histogram<u64> {
    let mut all = histogram();
    for sample in samples.iter().filter(|sample| sample.faulty == faulty) {
        all.add(&sample.latencies).expect("as large");
    }
    all
}

fn quantiles(histogram: &Histogram<u64>) -> String {
    let named = QUANTILES.map(|(name, quantile)| format!("{name} {:.2}", milliseconds(histogram, quantile)));
    format!("{}, most {:.1}  ({})", named.join(", "), histogram.max() as f64 / 1e3, histogram.len())
}
