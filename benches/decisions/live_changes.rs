//! Changes by another program, and when they decide here.
//!
//! The writer is a process of its own with a connection of its own: it revokes a token, removes a
//! collaborator or disables a user, each in a transaction of one statement, in an even rhythm, and prints
//! the time at which the database had confirmed the commit. In the process that decides, a thread asks
//! about the same tokens in the same order, each until it is refused, and takes the time of the first
//! refusal. Both times are the machine's clock, which all processes share; the thread sleeps 50 µs (the
//! kernel makes it about 0.1 ms) between two questions, so that it takes no core from what it measures,
//! and that much a figure may be too high. A decision may see a change before the writer hears that it
//! is committed: then the figure is below 0.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use regate::api::DecisionPoint;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    figures::quantile,
    live_server::Asked,
    world::{PROJECT_SIZE, ROWS},
};

/// The reasons that the changes bring about, by the number of the change.
const REASONS: [&str; 3] = ["token.revoked", "global_token.not_a_collaborator", "user.disabled"];

/// Longer than this no change may take: then it is lost.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// The user that change number `number` is about: all over the tables, and each only once.
pub fn user(number: usize) -> usize {
    number * 397 % ROWS
}

fn sql(number: usize) -> String {
    let user = user(number);
    match number % 3 {
        0 => format!("update tokens set revoked_at = now() where id = 'global-{user}'"),
        1 => format!(
            "delete from collaborators \
             where tenant = 'default' and project_id = 'project-{}' and user_id = 'user-{user}'",
            user / PROJECT_SIZE
        ),
        _ => format!("update users set disabled = true where tenant = 'default' and id = 'user-{user}'"),
    }
}

/// Milliseconds, by the clock that all processes of this machine share.
#[allow(clippy::disallowed_methods, reason = "no decision comes of it")]
fn clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs_f64() * 1e3
}

/// The other program: makes `count` changes, and prints when each was committed.
pub fn write(database: &str, first: usize, count: usize, per_second: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = PgConnection::connect(database).await.expect("a connection");
        println!("ready");
        let begun = Instant::now();
        for number in first..first + count {
            let due = Duration::from_secs(1) * (number - first) as u32 / per_second;
            thread::sleep(due.saturating_sub(begun.elapsed()));
            let sql = AssertSqlSafe(sql(number));
            let done = connection.execute(sqlx::raw_sql(sql)).await.expect("to change a row");
            let committed = clock();
            assert_eq!(done.rows_affected(), 1, "change {number} found no row");
            println!("{committed}");
        }
        connection.close().await.expect("to close");
    });
}

/// The other program, as it runs.
pub struct Writer {
    child: Child,
    lines: thread::JoinHandle<Vec<f64>>,
}

impl Writer {
    /// Starts it, and returns when it begins to write.
    pub fn start(database: &str, first: usize, count: usize, per_second: usize) -> Self {
        let numbers = [first, count, per_second].map(|number| number.to_string());
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["change", database])
            .args(numbers)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a writer");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut ready = String::new();
        output.read_line(&mut ready).expect("a line");
        assert_eq!(ready, "ready\n");
        let read = move || {
            output.lines().map(|line| line.expect("a line").parse().expect("a time")).collect::<Vec<f64>>()
        };
        Self { child, lines: thread::spawn(read) }
    }

    /// Waits until it has written everything, and gives the times of the commits.
    pub fn end(mut self) -> Vec<f64> {
        let times = self.lines.join().expect("its times");
        assert!(self.child.wait().expect("its end").success(), "the writer failed");
        times
    }
}

/// How long changes took to decide, in milliseconds.
pub struct Delays {
    pub p50: f64,
    pub p99: f64,
    pub most: f64,
}

/// Has `count` changes made, `per_second` of them, and measures when each decides here.
pub fn measure(
    point: &DecisionPoint,
    database: &str,
    first: usize,
    count: usize,
    per_second: usize,
) -> Delays {
    let questions: Vec<Asked> = (first..first + count).map(|number| Asked::read_of(user(number))).collect();
    for question in &questions {
        assert_eq!(question.ask(point).reasons.first.as_str(), "global_token.read");
    }
    print!("{count} changes by another process, {per_second} a second … ");
    let _ = std::io::stdout().flush();
    let writer = Writer::start(database, first, count, per_second);
    let refused: Vec<f64> = questions
        .iter()
        .zip(first..)
        .map(|(question, number)| {
            let begun = Instant::now();
            loop {
                let decision = question.ask(point);
                if !decision.allow {
                    let reason = decision.reasons.first;
                    assert_eq!(reason.as_str(), REASONS[number % 3], "change {number}");
                    return clock();
                }
                assert!(begun.elapsed() < LOST_AFTER, "change {number} never decided");
                thread::sleep(Duration::from_micros(50));
            }
        })
        .collect();
    let committed = writer.end();
    assert_eq!(committed.len(), count);
    println!("done");
    let mut delays: Vec<f64> = refused.iter().zip(committed).map(|(after, before)| after - before).collect();
    delays.sort_by(f64::total_cmp);
    Delays { p50: quantile(&delays, 0.5), p99: quantile(&delays, 0.99), most: delays[count - 1] }
}
