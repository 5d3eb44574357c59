//! How fast decisions are: in this process, and over HTTP beside a floor.
//!
//! `cargo bench` prints both tables. The floor is the same server with a handler that reads the body
//! and answers fixed bytes: what is left between the two is regate. Servers run as processes of
//! their own, are asked in turns within one run, and the ratio of each turn is taken: absolute
//! figures of a busy machine mean little, ratios hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot go on stops"
)]

mod http;
mod in_process;
mod world;

use std::env;

/// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // A server, started by this same benchmark as a process of its own.
        ["serve-floor"] => http::serve_floor(),
        ["serve-decisions", rows] => http::serve_decisions(rows.parse().expect("a number of rows")),
        ["in-process"] => in_process::run(),
        ["http"] => http::run(),
        ["profile"] => in_process::profile(),
        [] => {
            in_process::run();
            println!();
            http::run();
        }
        _ => {
            eprintln!("usage: cargo bench --bench decisions [-- in-process | http | profile]");
            std::process::exit(64);
        }
    }
}
