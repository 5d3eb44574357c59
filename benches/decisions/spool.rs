//! What the spool of the decision log costs: a record alone, and beside the work of a decision.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use regate::audit::{Promise, Spool, SpoolOptions};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::figures::middle;

const RECORD: [u8; 300] = [0x5a; 300];
const ROUNDS: usize = 9;
const WORKERS: usize = 2;

/// How long a decision takes, about.
const WORK: Duration = Duration::from_micros(10);

/// A spool of its own, in a folder of its own; `None` is the mode `off`.
fn spool(promise: Option<Promise>) -> Option<(Arc<Spool>, tempfile::TempDir)> {
    let folder = tempfile::tempdir().expect("a folder");
    let options = SpoolOptions {
        folder: folder.path().join("spool"),
        promise: promise?,
        max_bytes: 4 << 30,
        segment_bytes: 16 << 20,
    };
    let (spool, _) = Spool::open(&options, Uuid::nil()).expect("a spool");
    Some((Arc::new(spool), folder))
}

/// Microseconds a record, from the first to the last of all tasks; and how many were written at once.
fn round(
    runtime: &Runtime,
    promise: Option<Promise>,
    tasks: usize,
    records: usize,
    work: usize,
) -> (f64, f64) {
    let spool = spool(promise);
    let begun = Instant::now();
    runtime.block_on(async {
        let appending: Vec<_> = (0..tasks)
            .map(|_| {
                let spool = spool.as_ref().map(|(spool, _)| Arc::clone(spool));
                tokio::spawn(async move {
                    for _ in 0..records / tasks {
                        labour(work);
                        if let Some(spool) = &spool {
                            spool.append(&RECORD).await.expect("room");
                        } else {
                            tokio::task::consume_budget().await;
                        }
                    }
                })
            })
            .collect();
        for task in appending {
            task.await.expect("no panic");
        }
    });
    let took = begun.elapsed().as_secs_f64() * 1_000_000.0;
    let groups = spool.map_or(1, |(spool, _)| spool.status().written_groups);
    (took / records as f64, records as f64 / groups as f64)
}

/// Work that takes a time which does not depend on the clock.
fn labour(steps: usize) {
    let mut state = 1_u64;
    for _ in 0..steps {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// How many steps of work a decision is.
fn steps() -> usize {
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let begun = Instant::now();
            labour(1_000_000);
            begun.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (WORK.as_secs_f64() / times[0] * 1_000_000.0) as usize
}

/// Prints the tables.
pub fn run() {
    let runtime =
        Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().expect("a runtime");
    println!("The spool: records of {} bytes, {WORKERS} workers, median of {ROUNDS} rounds\n", RECORD.len());
    println!("{:<10} {:>6} {:>14} {:>14} {:>14}", "promise", "tasks", "ns a record", "records/s", "a group");
    for promise in [Promise::Spooled, Promise::Durable] {
        for tasks in [1, 64] {
            let records = if promise == Promise::Durable { 300 * tasks } else { 200_000 };
            let rounds: Vec<_> =
                (0..ROUNDS).map(|_| round(&runtime, Some(promise), tasks, records, 0)).collect();
            let micros = middle(rounds.iter().map(|round| round.0).collect()).0;
            let group = middle(rounds.iter().map(|round| round.1).collect()).0;
            println!(
                "{:<10} {tasks:>6} {:>14.0} {:>14.0} {group:>14.1}",
                format!("{promise:?}"),
                micros * 1_000.0,
                1_000_000.0 / micros
            );
        }
    }
    let steps = steps();
    println!(
        "\nBeside {} µs of work for each, in turns with none: the ratio of the throughputs\n",
        WORK.as_micros()
    );
    println!("{:<10} {:>6} {:>22} {:>14}", "promise", "tasks", "of that of `off`", "a group");
    for promise in [Promise::Spooled, Promise::Durable] {
        for tasks in [1, 16, 64] {
            let records = if promise == Promise::Durable { 300 * tasks } else { 50_000 };
            let (mut ratios, mut groups) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let off = round(&runtime, None, tasks, records, steps).0;
                let (on, group) = round(&runtime, Some(promise), tasks, records, steps);
                ratios.push(off / on);
                groups.push(group);
            }
            let (median, least, most) = middle(ratios);
            let ratio = format!("{median:.3} ({least:.2}–{most:.2})");
            println!("{:<10} {tasks:>6} {ratio:>22} {:>14.1}", format!("{promise:?}"), middle(groups).0);
        }
    }
}
