//! More connections at a time, decisions beside the floor.

use std::{sync::Arc, time::Duration};

use super::curves::{Curve, Part, Picture};
use crate::{
    http::{Started, Turn},
    options::Options,
    speed_client::{Asked, saturate},
    speed_questions::{Questions, Series},
};

const SIZES: [usize; 7] = [1, 3, 10, 30, 100, 300, 1_000];

/// Asks the floor and regate in turns, over so many connections at a time.
pub fn measure(options: &Options) -> Part {
    let (turns, length) =
        if options.quick { (2, Duration::from_millis(300)) } else { (5, Duration::from_secs(2)) };
    eprintln!("growth: connections …");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let floor = Started::quiet(&["serve-floor"]);
    let decisions = Started::quiet(&["serve-audit", "spooled", &folder.path().display().to_string()]);
    floor.pause();
    decisions.pause();
    let questions = Arc::new(Questions::new(Series::Many));
    let turn = |server: &Started, is_floor: bool, connections: usize| {
        server.resume();
        let asked = Asked { address: server.address.clone(), floor: is_floor };
        let turn = runtime.block_on(saturate(connections, &asked, &questions, length));
        server.pause();
        turn
    };
    let mut pairs: Vec<Vec<(Turn, Turn)>> = SIZES.iter().map(|_| Vec::new()).collect();
    // The first round warms up, and is not counted.
    for round in 0..=turns {
        for (place, &connections) in SIZES.iter().enumerate() {
            eprintln!("growth: {connections} connections, turn {round} …");
            let pair = (turn(&floor, true, connections), turn(&decisions, false, connections));
            if round > 0 {
                pairs[place].push(pair);
            }
        }
    }
    let curve = |what: &str, unit: &str, of: &dyn Fn(&(Turn, Turn)) -> f64| {
        Curve::new(what, unit, SIZES.into_iter().zip(pairs.iter().map(|p| p.iter().map(of).collect())))
    };
    let [rates, ratio] = [["floor", "decisions"], ["ratio to the floor", ""]];
    let medians = ["p50, floor", "p50, decisions", "p99, floor", "p99, decisions"];
    Part {
        name: "Connections".to_owned(),
        across: "connections".to_owned(),
        how: "10,000 different questions in turn to `/v1/decide`, each connection asking when it has its answer; 1,000,000 \
              tokens and collaborators, spooled log and metrics on; the floor in turns with it, the client on the same processors."
            .to_owned(),
        curves: vec![
            curve(rates[0], "requests/s", &|pair| pair.0.per_second),
            curve(rates[1], "requests/s", &|pair| pair.1.per_second),
            curve(ratio[0], "", &|pair| pair.1.per_second / pair.0.per_second),
            curve(medians[0], "ms", &|pair| pair.0.p50),
            curve(medians[1], "ms", &|pair| pair.1.p50),
            curve(medians[2], "ms", &|pair| pair.0.p99),
            curve(medians[3], "ms", &|pair| pair.1.p99),
        ],
        pictures: vec![
            Picture::of("connections-rate.svg", "Answers a second, as connections grow", "requests/s", false, &rates),
            Picture::of("connections-delay.svg", "Time to the answer, as connections grow", "ms", true, &medians),
        ],
    }
}
