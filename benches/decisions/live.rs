//! Data that changes while it is decided from, with a million tokens and collaborators in a Postgres.
//!
//! The benchmark starts a Postgres of its own, fills it as another program would, and measures in this
//! order:
//! 1. A process that serves the full database, and one that serves an empty one: how long loading takes,
//!    from the start of the process until it is ready, and the memory of the one beyond the other, when
//!    both have come to rest.
//! 2. Decisions over HTTP by that process at a fixed rate, in turns quiet and with changes by another
//!    process: the ratio of the p99 of each pair of turns.
//! 3. In this process, which loads the same: decisions over a thousand and over a million rows, in turns;
//!    the time from a commit elsewhere to the first decision that sees it, with notifications and without
//!    (see `live_changes`); revoking through this process, and asking at once; and what publishing one
//!    change costs.

use std::{
    hint::black_box,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use regate::{
    store::Store,
    types::{Clock, SystemClock},
};

use crate::{
    figures::{middle, quantile},
    http::{self, CONNECTIONS, Started},
    live_changes::{self, Writer, user},
    live_database::{self, Silenced},
    live_publish,
    live_server::{Asked, Memory, Serving},
    world::{self, ROWS},
};

const FEW_ROWS: usize = 1_000;
const CHANGES_PER_SECOND: usize = 100;
const TURNS: usize = 6;
/// Each connection asks once in this time.
const PACE: Duration = Duration::from_millis(4);
const ROUNDS: usize = 41;
const REVOCATIONS: usize = 10_000;

/// The first of the changes of each measurement: none meets another's rows.
const OVER_HTTP: usize = 0;
const NOTIFIED: usize = 10_000;
const SILENT: usize = 20_000;
const REVOKED: usize = 30_000;
/// Nobody changes these.
const UNCHANGED: usize = 100_000;

/// What was asked for, beside what was measured.
struct Table(Vec<[String; 3]>);

impl Table {
    fn row(&mut self, what: impl Into<String>, at: impl Into<String>, measured: impl Into<String>) {
        self.0.push([what.into(), at.into(), measured.into()]);
    }

    fn print(&self) {
        println!(
            "\n{:<64} {:>10} {:>44}",
            "with 1,000,000 tokens and 1,000,000 collaborators", "at", "measured"
        );
        for [what, at, measured] in &self.0 {
            println!("{what:<64} {at:>10} {measured:>44}");
        }
    }
}

fn say(text: &str) {
    print!("{text} … ");
    let _ = std::io::stdout().flush();
}

/// Prints the table.
pub fn run() {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
    println!("\nThe whole took {:.0} s.", begun.elapsed().as_secs_f64());
}

async fn measure() {
    println!("Live data: a Postgres of its own, fsync on\n");
    let mut table = Table(Vec::new());
    let server = live_database::start();
    let none = live_database::empty(&server, "none").await;
    let (few, _) = live_database::filled(&server, "few", FEW_ROWS).await;
    say("filling the database");
    let (full, filled) = live_database::filled(&server, "many", ROWS).await;
    println!("{filled}");

    other_process(&none, &full, &mut table).await;
    this_process(&few, &full, &mut table).await;
    table.print();
    println!(
        "\n`at` is what was asked for: at most. Spreads are from the least to the most. Rows are tokens and\n\
         collaborators; \"of all\" counts the 1,000,000 users and 10,000 projects with them."
    );
}

/// Loading, memory, and decisions over HTTP while the data changes.
async fn other_process(none: &str, full: &str, table: &mut Table) {
    say("a process that loads it");
    let empty = Started::new(&["serve-live", none]);
    let begun = Instant::now();
    let serving = Started::new(&["serve-live", full]);
    let took = begun.elapsed().as_secs_f64();
    table.row("loading them, seconds from the start of the process", "15", format!("{took:.1}"));
    let at_rest = Memory::settled(empty.process()).await;
    let loaded = Memory::settled(serving.process()).await;
    println!("done");
    let rows = (2 * ROWS) as u64;
    let of_all = rows + (ROWS + ROWS / world::PROJECT_SIZE) as u64;
    let beyond = |bytes: u64| {
        let bytes = bytes.saturating_sub(at_rest.present);
        format!("{} ({} of all)", bytes / rows, bytes / of_all)
    };
    table.row("memory beyond the empty process, bytes a row", "450", beyond(loaded.present));
    table.row("  the same at its highest, while loading", "", beyond(loaded.most));
    drop(empty);

    say("decisions over HTTP, quiet and with changes in turns");
    let message = http::message(&world::read_of(ROWS / 2));
    let expected = b"\"reason\":\"global_token.read\"";
    let revision = async || {
        let answer = http::ask_once(&serving.address, &message, expected).await;
        let (_, after) = answer.split_once("\"data_revision\":").expect("a revision");
        let digits = after.bytes().take_while(u8::is_ascii_digit);
        digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
    };
    let ask = async || http::ask(&serving.address, &message, expected, Some(PACE)).await;
    ask().await;
    let changes = CHANGES_PER_SECOND * http::TURN.as_secs() as usize;
    let mut pairs = Vec::new();
    // The first pair warms up, and is not counted: the first change of each document copies it.
    for turn in 0..=TURNS {
        let quiet = if turn % 2 == 0 { Some(ask().await) } else { None };
        let before = revision().await;
        let writer = Writer::start(full, OVER_HTTP + turn * changes, changes, CHANGES_PER_SECOND);
        let changing = ask().await;
        tokio::task::spawn_blocking(|| writer.end()).await.expect("the changes");
        // The last one may still be on its way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(revision().await, before + changes, "not every change was applied");
        // Each is first as often as the other.
        let quiet = match quiet {
            Some(quiet) => quiet,
            None => ask().await,
        };
        pairs.push((quiet, changing));
    }
    println!("done");
    let pairs = &pairs[1..];
    let spread = |of: &dyn Fn(&(http::Turn, http::Turn)) -> f64, digits: usize| {
        let (median, least, most) = middle(pairs.iter().map(of).collect());
        format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
    };
    table.row(
        "p99 of decisions with 100 changes a second, to the quiet p99",
        "2",
        spread(&|(quiet, changing)| changing.p99 / quiet.p99, 2),
    );
    table.row(
        format!("  quiet p99, ms ({CONNECTIONS} connections, {:.0} a second)", pairs[0].0.per_second),
        "",
        spread(&|(quiet, _)| quiet.p99, 2),
    );
    table.row("  p99 with changes, ms", "", spread(&|(_, changing)| changing.p99, 2));
    table.row("  quiet p50, ms", "", spread(&|(quiet, _)| quiet.p50, 2));
    table.row("  p50 with changes, ms", "", spread(&|(_, changing)| changing.p50, 2));
    let changed = Memory::settled(serving.process()).await;
    table.row("memory after these changes, bytes a row", "", beyond(changed.present));
}

/// What one process sees of itself and of others.
async fn this_process(few: &str, full: &str, table: &mut Table) {
    say("loading it here");
    let begun = Instant::now();
    let serving = Serving::start(full).await;
    println!("{:.1} s", begun.elapsed().as_secs_f64());
    let small = Serving::start(few).await;
    for case in world::cases(ROWS) {
        assert_eq!(Asked::new(&case.question).ask(&serving.point).reasons.first.as_str(), case.reason);
    }
    table.row("decision over a million rows, to that over a thousand", "1.1", sizes(&small, &serving, 1));
    table.row("  the same with a thousand users in turn", "", sizes(&small, &serving, 1_000));
    drop(small);

    let point = Arc::clone(&serving.point);
    let delays = |first, count, per_second| {
        let (point, full) = (Arc::clone(&point), full.to_owned());
        tokio::task::spawn_blocking(move || live_changes::measure(&point, &full, first, count, per_second))
    };
    let cell = |d: &live_changes::Delays| format!("p99 {:.1}, p50 {:.1}, most {:.1}", d.p99, d.p50, d.most);
    let notified = delays(NOTIFIED, 2_500, CHANGES_PER_SECOND).await.expect("the delays");
    table.row("commit elsewhere to decision here, ms (2,500 at 100/s)", "p99 50", cell(&notified));
    let silenced = Silenced::new(full).await;
    let silent = delays(SILENT, 200, 10).await.expect("the delays");
    assert!(serving.feed.reach().status().notifications_missing(), "a notification arrived");
    silenced.end().await;
    table.row("  without notifications, ms (200 at 10/s)", "p99 1000", cell(&silent));

    revoke(&serving, table).await;

    // Nothing may publish but what is measured.
    let Serving { feed, live, point, .. } = serving;
    tokio::task::spawn_blocking(move || feed.stop()).await.expect("the feed ends");
    say("publishing changes");
    for published in live_publish::measure(&live, &point) {
        table.row(published.what, "", published.figures);
    }
    println!("done");
}

/// The ratio of the times of decisions over many rows and over few, round by round.
fn sizes(few: &Serving, many: &Serving, users: usize) -> String {
    // The user of `world::cases`, or many of them.
    let questions = |rows: usize| -> Vec<Asked> {
        let of = |number| if users == 1 { rows / 2 } else { user(UNCHANGED + number) % rows };
        (0..users).map(|number| Asked::read_of(of(number))).collect()
    };
    let time = |serving: &Serving, questions: &[Asked]| {
        let begun = Instant::now();
        for question in questions.iter().cycle().take(3_000) {
            black_box(question.ask(&serving.point));
        }
        begun.elapsed().as_secs_f64()
    };
    let (few_questions, many_questions) = (questions(FEW_ROWS), questions(ROWS));
    for (serving, questions) in [(few, &few_questions), (many, &many_questions)] {
        for question in questions {
            assert_eq!(question.ask(&serving.point).reasons.first.as_str(), "global_token.read");
        }
    }
    let mut ratios: Vec<f64> =
        (0..ROUNDS).map(|_| time(many, &many_questions) / time(few, &few_questions)).collect();
    ratios.sort_by(f64::total_cmp);
    let quarter = |q| quantile(&ratios, q);
    format!("{:.2} (quartiles {:.2} to {:.2})", quarter(0.5), quarter(0.25), quarter(0.75))
}

/// Revokes tokens through this process, and asks about each at once.
async fn revoke(serving: &Serving, table: &mut Table) {
    say("revoking through this process");
    let store = serving.live_store();
    let (mut wrong, mut times) = (0, Vec::with_capacity(REVOCATIONS));
    for number in REVOKED..REVOKED + REVOCATIONS {
        let user = user(number);
        let question = Asked::read_of(user);
        assert!(question.ask(&serving.point).allow, "user {user} was refused before");
        let begun = Instant::now();
        store.revoke_token(&format!("global-{user}"), None, SystemClock.now()).await.expect("to revoke");
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        let decision = question.ask(&serving.point);
        wrong += usize::from(decision.reasons.first.as_str() != "token.revoked");
    }
    println!("done");
    times.sort_by(f64::total_cmp);
    table.row("revoked here, and the next decision wrong (of 10,000)", "0", wrong.to_string());
    table.row(
        "  time of the write, ms",
        "",
        format!("p50 {:.1}, p99 {:.1}", quantile(&times, 0.5), quantile(&times, 0.99)),
    );
}
