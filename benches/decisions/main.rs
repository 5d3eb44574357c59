//! How fast decisions are: in this process, over HTTP beside a floor, and while the data changes.
//!
//! `cargo bench` prints three tables. The floor is the same server with a handler that reads the body
//! and answers fixed bytes: what is left between the two is regate. Servers run as processes of
//! their own, are asked in turns within one run, and the ratio of each turn is taken: absolute
//! figures of a busy machine mean little, ratios hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    reason = "a benchmark that cannot go on stops"
)]

mod audit;
mod bounds;
mod credentials;
mod envoy;
mod faces;
mod figures;
mod growth;
mod grpc;
mod http;
mod in_process;
mod limits;
mod live;
mod live_changes;
mod live_database;
mod live_publish;
mod live_server;
mod options;
#[allow(dead_code, reason = "no benchmark draws with all of it")]
mod plot;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/harness"]
mod harness {
    pub mod envoy;
    pub mod postgres;
    pub mod record;
    pub mod redis;
    pub mod supervised;
}
mod sessions;
mod soak;
mod speed;
mod speed_client;
mod speed_questions;
mod spool;
mod start;
mod world;

use std::env;

use crate::options::Options;
use harness::postgres;

/// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // A server, started by this same benchmark as a process of its own.
        ["serve-behind"] => envoy::serve_behind(),
        ["serve-floor"] => http::serve_floor(),
        ["serve-decisions", rows] => http::serve_decisions(rows.parse().expect("a number of rows")),
        ["serve-credentials", rows] => credentials::serve(rows.parse().expect("a number of rows")),
        ["serve-faces", rows] => faces::serve(rows.parse().expect("a number of rows")),
        ["serve-audit", mode, folder] => audit::serve(mode, std::path::Path::new(folder)),
        ["serve-live", database] => live_server::serve(database),
        // Another program that writes to the database.
        ["change", database, first, count, per_second] => live_changes::write(
            database,
            first.parse().expect("a number"),
            count.parse().expect("a number of changes"),
            per_second.parse().expect("a number of changes"),
        ),
        ["in-process"] => in_process::run(),
        ["http"] => http::run(),
        ["live"] => live::run(),
        ["publish"] => live_publish::run(),
        ["profile"] => in_process::profile(),
        ["sessions"] => sessions::run(),
        ["spool"] => spool::run(),
        ["credentials"] => credentials::run(),
        ["faces"] => faces::run(),
        ["limits"] => limits::run(),
        ["audit"] => audit::run(),
        ["envoy"] => envoy::run(),
        ["growth", ref options @ ..] => growth::run(&Options::read(options, "growth")),
        ["growth-bundle", shape, rules] => {
            growth::compile_alone(shape, rules.parse().expect("a number of rules"))
        }
        ["start"] => start::run(start::PROGRAM),
        // Another build of it, such as the one of an image.
        ["start", program] => start::run(program),
        ["speed", ref options @ ..] => speed::run(&Options::read(options, "speed")),
        ["soak", ref options @ ..] => soak::run(options),
        [] => {
            in_process::run();
            println!();
            http::run();
            println!();
            live::run();
        }
        _ => {
            eprintln!(
                "usage: cargo bench --bench decisions [-- in-process | http | live | publish | sessions | spool | credentials | faces | limits | audit | envoy | growth | speed | soak | start | profile]"
            );
            std::process::exit(64);
        }
    }
}
