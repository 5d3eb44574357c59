//! Decisions at a fixed rate, by many callers, and agents whose calls are counted.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Soak,
    client::{Answer, client},
    question::Question,
    world::{AGENT_CALLS, AGENTS},
};

/// Connections that callers' questions come over.
const CONNECTIONS: u64 = 64;
/// One exchange of so many is a batch of [`BATCH`] questions.
const BATCHES: u64 = 200;
const BATCH: usize = 10;

/// The window of the agents' limit, and how much later at most there is room again.
const WINDOW: Duration = Duration::from_secs(60);
const LATE: Duration = Duration::from_secs(2);
/// Agents that ask far more often than they may; the others stay below.
const GREEDY: usize = 4;
const GREEDY_PAUSE: Duration = Duration::from_millis(200);
const POLITE_PAUSE: Duration = Duration::from_secs(4);

/// Begins; it ends with the soak.
pub fn begin(soak: &Arc<Soak>) {
    for number in 0..CONNECTIONS {
        tokio::spawn(caller(Arc::clone(soak), number));
    }
    for user in 0..AGENTS {
        tokio::spawn(agent(Arc::clone(soak), user));
    }
}

async fn caller(soak: Arc<Soak>, number: u64) {
    let mut random = StdRng::seed_from_u64(soak.seed ^ (1_000 + number));
    let mut client = client(&soak);
    let pace = Duration::from_secs_f64(CONNECTIONS as f64 / f64::from(soak.rate));
    let mut due = Instant::now() + pace.mul_f64(number as f64 / CONNECTIONS as f64);
    while soak.goes_on() {
        // Late because the answer before it was: counted from when it was due.
        let mut asked = due;
        if Instant::now() < due {
            // The timer goes by milliseconds: what it is late by is not regate's.
            tokio::time::sleep_until(due.into()).await;
            asked = Instant::now();
        }
        if random.random_range(0..BATCHES) == 0 {
            let questions: Vec<_> = (0..BATCH).map(|_| Question::random(&mut random)).collect();
            client.ask_all(&soak, &questions).await;
        } else {
            client.ask(&soak, Question::random(&mut random), None).await;
        }
        soak.tally.latency(asked.elapsed());
        due += pace;
    }
}

async fn agent(soak: Arc<Soak>, user: usize) {
    let mut client = client(&soak);
    let mut let_through = VecDeque::new();
    while soak.goes_on() {
        if let Some(answer) = client.ask(&soak, Question::Agent { user }, None).await {
            count(&soak, user, &mut let_through, &answer);
        }
        tokio::time::sleep(if user < GREEDY { GREEDY_PAUSE } else { POLITE_PAUSE }).await;
    }
}

/// Holds an agent's answer against all that it was let through before.
fn count(soak: &Soak, user: usize, let_through: &mut VecDeque<Instant>, answer: &Answer) {
    // An agent asks one at a time. Calls that were asked within a window of this answer lie in one window with it.
    let within = |let_through: &VecDeque<Instant>, window: Duration| {
        let_through.iter().filter(|asked| answer.answered.duration_since(**asked) < window).count()
    };
    if answer.allow {
        let_through.push_back(answer.asked);
        if within(let_through, WINDOW) > AGENT_CALLS {
            soak.tally.count("wrong", "beyond a limit");
            soak.tally
                .fail(format!("agent {user} was let through more than {AGENT_CALLS} times in a minute"));
        }
        while within(let_through, 2 * WINDOW) < let_through.len() {
            let_through.pop_front();
        }
    } else {
        soak.tally.refused(&answer.reason);
        // Redis knows of calls that it was asked to count and whose answer nobody waited for.
        let since = answer.asked.checked_sub(WINDOW + LATE).unwrap_or(answer.asked);
        if within(let_through, WINDOW + LATE) < AGENT_CALLS
            && !soak.outages.overlap("Redis", since, answer.answered)
        {
            soak.tally.count("wrong", "refused below a limit");
            soak.tally.fail(format!("agent {user} was refused below its limit"));
        }
    }
}
