//! More users, tokens, collaborators and projects.

use std::{sync::Arc, time::Instant};

use regate::{
    decision::Basis,
    policy::{Live, Source},
    types::{Clock, SystemClock},
};

use super::{
    curves::{Curve, Part, Picture, Point},
    deciding::{Deciding, texts},
    publishing,
};
use crate::{
    http::Started,
    live_database,
    live_server::Memory,
    options::Options,
    world::{self, PROJECT_SIZE},
};

/// As many users, as many tokens, as many collaborators; a hundredth as many projects.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Reckoned, not measured.
const BEYOND: usize = 10_000_000;
/// Different users in turn, where there are so many. As many verdicts can be remembered.
const USERS: usize = 8_000;

const ONE_EVALUATION: &str = "evaluation, one question";
const MANY_EVALUATIONS: &str = "evaluation, 8,000 users";
const ONE_DECISION: &str = "decision, one question";
const MANY_DECISIONS: &str = "decision, 8,000 users";
const ONE_REMEMBERED: &str = "remembered, one question";
const MANY_REMEMBERED: &str = "remembered, 8,000 users";
const TOKEN: &str = "publishing a token";
const COLLABORATOR: &str = "publishing a collaborator";
const LOADING: &str = "loading from Postgres";
const MEMORY: &str = "memory, all";
const ROW: &str = "memory a row";

/// Measures each size in turn, turn by turn: what disturbs the machine disturbs all of them.
pub fn measure(options: &Options) -> Part {
    let sizes = if options.quick { &SIZES[..2] } else { &SIZES[..] };
    let mut curves = in_process(sizes, options);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    curves.extend(runtime.block_on(loaded(sizes, options)));
    curves.iter_mut().for_each(reckon);
    Part {
        name: "Rows".to_owned(),
        across: "users, as many tokens, as many collaborators".to_owned(),
        how: "Time: in this process, one thread; a decision is asked for the first time in its second, or its verdict is \
              remembered. Users in turn are spread over all (1,000 where there are no more). Loading: from the start of a process until it decides, with a Postgres on \
              the same machine. Memory: of that process at rest, beyond one over an empty database; a row is a user, a \
              token, a collaborator or a project."
            .to_owned(),
        curves,
        pictures: vec![
            Picture::of(
                "rows-decision.svg",
                "A decision, as rows grow",
                "µs",
                false,
                &[ONE_DECISION, MANY_DECISIONS, ONE_REMEMBERED, MANY_REMEMBERED],
            ),
            Picture::of("rows-publishing.svg", "One change, as rows grow", "µs", false, &[TOKEN, COLLABORATOR]),
            Picture::of("rows-loading.svg", "Loading, as rows grow", "seconds", true, &[LOADING]),
            Picture::of("rows-memory.svg", "Memory, as rows grow", "MiB", true, &[MEMORY]),
        ],
    }
}

/// All of the rows that there are with so many users.
fn all(size: usize) -> usize {
    3 * size + size.div_ceil(PROJECT_SIZE)
}

fn in_process(sizes: &[usize], options: &Options) -> Vec<Curve> {
    let (rounds, calls, users) = if options.quick { (3, 100, 100) } else { (21, 5_000, USERS) };
    eprintln!("growth: rows in this process …");
    let bundle = world::bundle(1);
    let bases: Vec<Basis> =
        sizes.iter().map(|&size| Basis::new(Arc::clone(&bundle), world::snapshot(size))).collect();
    let one: Vec<Vec<String>> = sizes.iter().map(|&size| texts([size / 2].into_iter())).collect();
    // Spread over all of them, so that neighbours do not share what was fetched.
    let many: Vec<Vec<String>> =
        sizes.iter().map(|&size| texts((0..users.min(size)).map(|number| number * 7_919 % size))).collect();
    let mut ones: Vec<Deciding<'_>> = bases.iter().zip(&one).map(|(b, t)| Deciding::new(b, t)).collect();
    let mut manies: Vec<Deciding<'_>> = bases.iter().zip(&many).map(|(b, t)| Deciding::new(b, t)).collect();
    let lives: Vec<Live> = sizes
        .iter()
        .map(|&size| {
            let live = Live::new(Arc::clone(&bundle), world::snapshot(size));
            live.prepare();
            live.confirm(Source::Tables, SystemClock.reading());
            live
        })
        .collect();
    let mut curves = [
        (ONE_EVALUATION, vec![Vec::new(); sizes.len()]),
        (MANY_EVALUATIONS, vec![Vec::new(); sizes.len()]),
        (ONE_DECISION, vec![Vec::new(); sizes.len()]),
        (MANY_DECISIONS, vec![Vec::new(); sizes.len()]),
        (ONE_REMEMBERED, vec![Vec::new(); sizes.len()]),
        (MANY_REMEMBERED, vec![Vec::new(); sizes.len()]),
        (TOKEN, vec![Vec::new(); sizes.len()]),
        (COLLABORATOR, vec![Vec::new(); sizes.len()]),
    ];
    // All users in turn, as often as it takes.
    let through_all = calls.max(users);
    // The first round warms up, and is not counted.
    for round in 0..=rounds {
        for (place, &size) in sizes.iter().enumerate() {
            let figures = [
                ones[place].evaluations(calls),
                manies[place].evaluations(through_all),
                ones[place].first_decisions(calls),
                manies[place].first_decisions(through_all),
                ones[place].remembered_decisions(calls),
                manies[place].remembered_decisions(through_all),
                publishing::steps(&lives[place], calls / 10, size, publishing::token),
                publishing::steps(&lives[place], calls / 10, size, publishing::collaborator),
            ];
            if round > 0 {
                curves.iter_mut().zip(figures).for_each(|(curve, figure)| curve.1[place].push(figure));
            }
        }
    }
    curves.into_iter().map(|(what, turns)| Curve::new(what, "µs", sizes.iter().copied().zip(turns))).collect()
}

/// What a process that serves these rows took to start, and what it holds.
async fn loaded(sizes: &[usize], options: &Options) -> Vec<Curve> {
    let starts = if options.quick { 1 } else { 3 };
    let server = live_database::start();
    let empty = live_database::empty(&server, "none").await;
    let (mut seconds, mut mebibytes, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for &size in sizes {
        eprintln!("growth: {size} rows in Postgres …");
        let (url, _) = live_database::filled(&server, &format!("rows_{size}"), size).await;
        let (mut took, mut holds) = (Vec::new(), Vec::new());
        for _ in 0..starts {
            let nothing = Started::new(&["serve-live", &empty]);
            let begun = Instant::now();
            let serving = Started::new(&["serve-live", &url]);
            took.push(begun.elapsed().as_secs_f64());
            let none = Memory::settled(nothing.process()).await.present;
            holds.push(Memory::settled(serving.process()).await.present as f64 - none as f64);
        }
        seconds.push((size, took));
        mebibytes.push((size, holds.iter().map(|held| held / f64::from(1 << 20)).collect()));
        bytes.push((size, holds.iter().map(|held| held / all(size) as f64).collect()));
    }
    vec![
        Curve::new(LOADING, "s", seconds),
        Curve::new(MEMORY, "MiB", mebibytes),
        Curve::new(ROW, "bytes", bytes),
    ]
}

/// Adds what it is beyond the largest size. Times of one decision and of one change grow by as much as they did with the
/// last tenfold; loading and memory grow tenfold, but for what they are with no row at all.
fn reckon(curve: &mut Curve) {
    let [.., before, last] = &curve.points[..] else { return };
    let (before, last) = (*before, *last);
    let value = match curve.what.as_str() {
        LOADING | MEMORY => {
            let each = (last.median - before.median) / (last.at - before.at) as f64;
            last.median + each * (BEYOND - last.at) as f64
        }
        ROW => last.median,
        _ => {
            let decades = (BEYOND as f64 / last.at as f64).log10();
            last.median + (last.median - before.median).max(0.0) * decades
        }
    };
    curve.points.push(Point { at: BEYOND, median: value, least: value, most: value, measured: false });
}
