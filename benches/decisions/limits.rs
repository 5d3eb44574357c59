//! Counting a call in this process: nanoseconds a call, and what keys cost in memory.

use std::{
    fs,
    hint::black_box,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use regate::{
    limits::{Limit, Limiter, LimiterOptions},
    types::SystemClock,
};

use crate::figures::middle;

const ROUNDS: usize = 21;
const CALLS: usize = 200_000;
const KEYS: [usize; 3] = [1, 1_000, 100_000];

fn limiter() -> Limiter {
    Limiter::local(LimiterOptions::default(), Arc::new(SystemClock))
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("user:{index}")).collect()
}

fn limit(key: &str, limit: u32) -> Limit<'_> {
    Limit { tenant: "default", name: "mcp.builds", key, limit, window: Duration::from_secs(60), count: 1 }
}

/// Nanoseconds that this thread has had a processor: on a busy machine the time of a clock says little.
fn processor() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().expect("a field").parse().expect("a number")
}

/// Nanoseconds a call of one thread, by its processor and by the clock. It takes the keys in an order that is not that of memory.
fn calls(limiter: &Limiter, keys: &[String], most: u32) -> (f64, f64) {
    let (begun, before) = (Instant::now(), processor());
    for call in 0..CALLS {
        black_box(limiter.count_here(&[limit(&keys[call * 7_919 % keys.len()], most)]));
    }
    let clock = begun.elapsed().as_nanos() as f64;
    ((processor() - before) / CALLS as f64, clock / CALLS as f64)
}

/// Nanoseconds a call while two threads call, by the clock: those of the slower.
fn calls_of_two(limiter: &Arc<Limiter>, keys: &Arc<Vec<String>>, most: u32) -> f64 {
    let together = Arc::new(Barrier::new(2));
    let running: Vec<_> = (0..2)
        .map(|_| {
            let (limiter, keys, together) = (Arc::clone(limiter), Arc::clone(keys), Arc::clone(&together));
            thread::spawn(move || {
                together.wait();
                calls(&limiter, &keys, most).1
            })
        })
        .collect();
    running.into_iter().map(|thread| thread.join().expect("it ends")).fold(0.0, f64::max)
}

/// Bytes of this process in memory.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number");
    kilobytes * 1_024.0
}

/// Prints the table.
pub fn run() {
    println!("Memory: 100,000 keys, by calls in the window of each\n");
    // All of them are kept, so that none has the memory of another.
    let mut kept = Vec::new();
    let keys_of_all = keys(100_000);
    for (most, calls) in [(60, 1), (60, 10), (60, 60)] {
        let (limiter, keys) = (limiter(), &keys_of_all);
        // An hour, so that none of them is over before all are counted.
        let hour = |key| Limit { window: Duration::from_secs(3_600), ..limit(key, most) };
        let before = resident();
        for _ in 0..calls {
            for key in keys {
                assert!(limiter.count_here(&[hour(key)])[0].allowed);
            }
        }
        let each = (resident() - before) / keys.len() as f64;
        println!("{calls:>3} calls: {each:>6.0} bytes a key, {} keys held", limiter.status().keys);
        kept.push(limiter);
    }
    drop(kept);
    println!("\nCounting: nanoseconds a call, median of {ROUNDS} rounds (least to most)\n");
    println!(
        "{:<12} {:>8} {:>22} {:>22} {:>22}",
        "", "keys", "1 thread, processor", "1 thread, clock", "2 threads, clock"
    );
    for (name, most) in [("let through", 1_000_000), ("refused", 10)] {
        for count in KEYS {
            let (limiter, keys) = (Arc::new(limiter()), Arc::new(keys(count)));
            // What is refused has been let through ten times before.
            (0..10).for_each(|_| {
                keys.iter().for_each(|key| {
                    black_box(limiter.count_here(&[limit(key, most)]));
                });
            });
            let cell = |round: &dyn Fn() -> f64| {
                let (median, least, most) = middle((0..ROUNDS).map(|_| round()).collect());
                format!("{median:.0} ({least:.0} to {most:.0})")
            };
            println!(
                "{name:<12} {count:>8} {:>22} {:>22} {:>22}",
                cell(&|| calls(&limiter, &keys, most).0),
                cell(&|| calls(&limiter, &keys, most).1),
                cell(&|| calls_of_two(&limiter, &keys, most)),
            );
        }
    }
}
