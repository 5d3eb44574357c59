//! Decisions as they are served, beside the floor: with the spooled log and metrics on, over a million tokens and
//! collaborators, at saturation and at half of it.
//!
//! The floor and the decisions are asked the same questions in turns, by the same client; the ratio of each pair of turns
//! is taken. The server that is not asked is stopped, so that it does not ship its log meanwhile. Each kind of question has
//! a server of its own, which knows nothing from before.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    bounds::{Bounds, table},
    figures::middle,
    http::{CONNECTIONS, Started, Turn},
    options::Options,
    speed_client::{Asked, at_rate, saturate},
    speed_questions::{Questions, Series},
    world::ROWS,
};

/// Of the floor's requests a second.
const THROUGHPUT: f64 = 0.6;

/// Turns of the floor and of decisions.
type Pairs = Vec<(Turn, Turn)>;

/// What one series gave.
struct Measured {
    series: Series,
    saturated: Pairs,
    rate: f64,
    half: Pairs,
}

/// Prints the tables. Ends with 1 where a bound is missed.
pub fn run(options: &Options) {
    let (turns, length) =
        if options.quick { (2, Duration::from_millis(500)) } else { (7, Duration::from_secs(3)) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let floor = Started::quiet(&["serve-floor"]);
    floor.pause();
    let measured: Vec<Measured> = Series::ALL
        .into_iter()
        .map(|series| {
            eprintln!("speed: {} …", series.name());
            let folder = tempfile::tempdir().expect("a folder");
            measure(series, &floor, folder.path(), &runtime, turns, length)
        })
        .collect();
    drop(floor);
    println!(
        "Speed: {ROWS} tokens and collaborators, spooled log and metrics on, {CONNECTIONS} connections, {turns} turns of \
         {} s each; median (least to most)\n",
        length.as_secs_f64()
    );
    print(&measured);
    options.write("speed.json", &measured.iter().map(Measured::data).collect::<Value>());
    let mut bounds = Bounds::default();
    for one in &measured {
        let (ratio, _, _) = ratios(&one.saturated, |turn| turn.per_second);
        bounds.at_least(format!("throughput to the floor's, {}", one.series.name()), THROUGHPUT, ratio);
    }
    bounds.end();
}

fn measure(
    series: Series,
    floor: &Started,
    folder: &Path,
    runtime: &Runtime,
    turns: usize,
    length: Duration,
) -> Measured {
    let server = Started::quiet(&["serve-audit", "spooled", &folder.display().to_string()]);
    server.pause();
    let questions = Arc::new(Questions::new(series));
    let pairs = |turn: &dyn Fn(&Asked) -> Turn| -> Pairs {
        let one = |server: &Started, is_floor: bool| {
            server.resume();
            let turn = turn(&Asked { address: server.address.clone(), floor: is_floor });
            server.pause();
            turn
        };
        // The first pair warms up, and is not counted. Each is first as often as the other.
        let pair = |number: usize| {
            if number.is_multiple_of(2) {
                let floor = one(floor, true);
                (floor, one(&server, false))
            } else {
                let decisions = one(&server, false);
                (one(floor, true), decisions)
            }
        };
        (0..=turns).map(pair).skip(1).collect()
    };
    let saturated = pairs(&|asked| runtime.block_on(saturate(CONNECTIONS, asked, &questions, length)));
    let rate = middle(saturated.iter().map(|(_, decisions)| decisions.per_second).collect()).0 / 2.0;
    let half = pairs(&|asked| at_rate(asked, &questions, length, rate));
    Measured { series, saturated, rate, half }
}

fn ratios(pairs: &Pairs, of: impl Fn(&Turn) -> f64) -> (f64, f64, f64) {
    middle(pairs.iter().map(|(floor, decisions)| of(decisions) / of(floor)).collect())
}

fn print(measured: &[Measured]) {
    let cell = |(median, least, most): (f64, f64, f64), digits: usize| {
        format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
    };
    let pair = |pairs: &Pairs, of: fn(&Turn) -> f64, digits: usize| {
        [
            cell(middle(pairs.iter().map(|(floor, _)| of(floor)).collect()), digits),
            cell(middle(pairs.iter().map(|(_, decisions)| of(decisions)).collect()), digits),
            cell(ratios(pairs, of), 2),
        ]
    };
    let mut saturation = table(["at saturation", "floor, requests/s", "decisions, requests/s", "ratio"]);
    let mut half = table([
        "at half of the decisions' saturation",
        "requests/s",
        "floor, p99 ms",
        "decisions, p99 ms",
        "ratio",
        "p50 ms, floor and decisions",
    ]);
    for one in measured {
        let name = one.series.name().to_owned();
        let [floor, decisions, ratio] = pair(&one.saturated, |turn| turn.per_second, 0);
        saturation.add_row([name.clone(), floor, decisions, ratio]);
        let [floor, decisions, ratio] = pair(&one.half, |turn| turn.p99, 3);
        let p50 = pair(&one.half, |turn| turn.p50, 3);
        half.add_row([name, format!("{:.0}", one.rate), floor, decisions, ratio, p50[..2].join(", ")]);
    }
    println!("{saturation}\n\n{half}");
}

impl Measured {
    fn data(&self) -> Value {
        let turn =
            |turn: &Turn| json!({"per_second": turn.per_second, "p50_ms": turn.p50, "p99_ms": turn.p99});
        let pairs = |pairs: &Pairs| -> Value {
            pairs.iter().map(|(f, d)| json!({"floor": turn(f), "decisions": turn(d)})).collect()
        };
        json!({
            "questions": self.series.name(), "saturated": pairs(&self.saturated), "half_rate": self.rate,
            "half": pairs(&self.half),
        })
    }
}
