//! Postgres and Redis are stopped, killed and frozen, and come back.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Soak, client::client};
use crate::harness::{postgres::Postgres, redis::Redis};

/// What is done, and for how long it is away.
type Fault = (&'static str, &'static str, Duration);

/// Beyond `max_staleness` (10 s) decisions are denied.
const FAULTS: [Fault; 8] = [
    ("Redis", "killed", Duration::from_secs(2)),
    ("Postgres", "stopped", Duration::from_secs(2)),
    ("Redis", "frozen", Duration::from_secs(4)),
    ("Postgres", "killed", Duration::from_secs(1)),
    ("Postgres", "frozen", Duration::from_secs(4)),
    ("Redis", "killed", Duration::from_secs(10)),
    ("Postgres", "killed", Duration::from_secs(20)),
    ("Postgres", "frozen", Duration::from_secs(15)),
];

/// So long it may take until all is well after what was away is back.
const RECOVERY: Duration = Duration::from_secs(60);

/// Does them one after the other, evenly over the time that the soak takes, until it is over; gives back the servers,
/// which are up then.
pub fn begin(
    soak: &Arc<Soak>,
    mut postgres: Postgres,
    mut redis: Redis,
    between: Duration,
) -> thread::JoinHandle<(Postgres, Redis)> {
    let soak = Arc::clone(soak);
    let runtime = tokio::runtime::Handle::current();
    thread::spawn(move || {
        for (what, how, away) in FAULTS.into_iter().cycle() {
            let due = Instant::now() + between;
            while soak.goes_on() && Instant::now() < due {
                thread::sleep(Duration::from_millis(100));
            }
            // The last one is to be over well before the end.
            if !soak.goes_on_for(away + RECOVERY) {
                break;
            }
            let number = soak.outages.begin(what, how);
            match (what, how) {
                ("Postgres", "stopped") => postgres.stop(),
                ("Postgres", "killed") => postgres.kill(),
                ("Postgres", _) => postgres.freeze(),
                (_, "killed") => redis.kill(),
                _ => redis.freeze(),
            }
            thread::sleep(away);
            match (what, how) {
                ("Postgres", "frozen") => postgres.thaw(),
                ("Postgres", _) => postgres.start_again(),
                (_, "frozen") => redis.thaw(),
                _ => redis.start_again(),
            }
            soak.outages.back(number);
            runtime.block_on(recovery(&soak, what, how));
            soak.outages.over(number);
        }
        (postgres, redis)
    })
}

/// Waits until all is well.
async fn recovery(soak: &Arc<Soak>, what: &str, how: &str) {
    let begun = Instant::now();
    let mut client = client(soak);
    loop {
        let well = match what {
            "Postgres" => ready(&mut client).await && soak.metric("regate_feed_failing").await == Some(0.0),
            _ => soak.metric("regate_limiter_shared_failing").await == Some(0.0),
        };
        if well {
            break;
        }
        if begun.elapsed() > RECOVERY {
            soak.tally
                .fail(format!("{what} was {how}, and regate is not well {RECOVERY:?} after it is back"));
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ready(client: &mut super::client::Client) -> bool {
    let Ok((status, body)) = client.exchange("GET", "/ready", "", "").await else { return false };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    status == 200 && body["data_age_seconds"].as_f64().is_some_and(|age| age < 2.0)
}
