//! What regate adds to a request through Envoy, by gRPC: beside the same Envoy without it, in turns within one run.

use std::{fs, io::Write, time::Duration};

use axum::Router;

use crate::{
    faces::GATEWAY,
    figures::middle,
    harness::envoy::Envoy,
    http::{self, CONNECTIONS, Started, TURN, Turn},
    world::{self, ROWS},
};

const TURNS: usize = 7;
/// Each connection asks once in this time: 2,000 requests a second in all.
const PACE: Duration = Duration::from_millis(16);
const BEHIND: &str = "behind the gateway";

/// The server behind: it answers everything.
pub fn serve_behind() {
    http::serve(Router::new().fallback(|| async { BEHIND }));
}

/// The example without its question to regate.
fn without_regate(example: &str) -> String {
    let (before, rest) = example.split_once("          # The first filter:").expect("the filter");
    let (_, after) = rest.split_once("          - name: envoy.filters.http.router").expect("the router");
    let text = format!("{before}          - name: envoy.filters.http.router{after}");
    let (before, rest) =
        text.split_once("                typed_per_filter_config:").expect("the route's part");
    let (_, after) = rest.split_once("              - match: {prefix: /}").expect("the next route");
    format!("{before}              - match: {{prefix: /}}{after}")
}

/// Prints the table.
pub fn run() {
    print!("Envoy: loading {ROWS} tokens and {ROWS} collaborators … ");
    let _ = std::io::stdout().flush();
    let regate = Started::new(&["serve-faces", &ROWS.to_string()]);
    let behind = Started::new(&["serve-behind"]);
    let (_, grpc) = regate.address.split_once(' ').expect("two addresses");
    let folder = std::env::temp_dir().join(format!("regate-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/envoy/envoy.yaml");
    let alone = folder.join("alone.yaml");
    fs::write(&alone, without_regate(&fs::read_to_string(example).expect("the example"))).expect("to write");
    let alone = Envoy::start(alone.to_str().expect("a path"), grpc, &behind.address, GATEWAY);
    let with = Envoy::start("envoy.yaml", grpc, &behind.address, GATEWAY);
    println!("loaded\n");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let question = world::read_of(ROWS / 2);
    let message = format!(
        "GET {} HTTP/1.1\r\nhost: api.example\r\nauthorization: Bearer {}\r\nuser-agent: curl/8.5.0\r\n\r\n",
        world::builds(ROWS / 2),
        question["token"].as_str().expect("a token"),
    );
    let turn = |envoy: &Envoy, pace| {
        runtime.block_on(http::ask(&envoy.address(), message.as_bytes(), BEHIND.as_bytes(), pace))
    };
    let turns = |pace: Option<Duration>| -> Vec<(Turn, Turn)> {
        (0..TURNS).map(|_| (turn(&alone, pace), turn(&with, pace))).collect()
    };
    // The first turns warm up, and are not counted.
    turn(&alone, None);
    turn(&with, None);
    println!(
        "{TURNS} turns of {} s each, {CONNECTIONS} connections, one Envoy worker; median (least to most)\n",
        TURN.as_secs()
    );
    for (name, pace) in [("2,000 requests/s", Some(PACE)), ("without a pause", None)] {
        let turns = turns(pace);
        let row = |what: &str, of: &dyn Fn(&(Turn, Turn)) -> f64, digits: usize| {
            let (median, least, most) = middle(turns.iter().map(of).collect());
            println!("{name:<18} {what:<34} {median:>10.digits$} ({least:.digits$} to {most:.digits$})");
        };
        row("Envoy alone, requests/s", &|t| t.0.per_second, 0);
        row("with regate, requests/s", &|t| t.1.per_second, 0);
        row("Envoy alone, p50 ms", &|t| t.0.p50, 3);
        row("with regate, p50 ms", &|t| t.1.p50, 3);
        row("Envoy alone, p99 ms", &|t| t.0.p99, 3);
        row("with regate, p99 ms", &|t| t.1.p99, 3);
        row("added at p99, ms", &|t| t.1.p99 - t.0.p99, 3);
    }
    let _ = fs::remove_dir_all(folder);
}
