//! Whether the machine runs at all, and Postgres answers when nobody does anything to it. Where other work has all of the
//! cores for longer than data may be old, regate refuses, and rightly: what was seen here says that it may.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};

use super::Soak;

/// A thread that only sleeps is never this late on a machine that runs.
const LATE: Duration = Duration::from_secs(3);
/// Postgres on a machine that has time for it is never so slow (`answer_time` is 2 s).
const SLOW: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);

/// When the watching thread ran last, and since when Postgres is asked.
pub struct Standstill {
    ran: Mutex<Instant>,
    asked: Mutex<Option<Instant>>,
}

impl Default for Standstill {
    fn default() -> Self {
        Self { ran: Mutex::new(Instant::now()), asked: Mutex::default() }
    }
}

impl Standstill {
    /// It lasts still, or the machine has only just gone on and the thread has not run yet.
    pub fn is_now(&self) -> bool {
        let silent = self.asked.lock().unwrap().is_some_and(|asked| asked.elapsed() > SLOW);
        silent || self.ran.lock().unwrap().elapsed() > LATE
    }
}

/// Begins to watch; it ends with the soak.
pub fn begin(soak: &Arc<Soak>, url: &str) {
    tokio::spawn(ask(Arc::clone(soak), url.to_owned()));
    let soak = Arc::clone(soak);
    thread::spawn(move || {
        while soak.goes_on_for(Duration::ZERO) {
            thread::sleep(PAUSE);
            let mut last = soak.standstill.ran.lock().unwrap();
            if last.elapsed() > LATE {
                soak.outages.seen("the machine", "stood still", *last);
            }
            *last = Instant::now();
        }
    });
}

/// Asks Postgres all the time, as regate does, on a new connection each time.
async fn ask(soak: Arc<Soak>, url: String) {
    while soak.goes_on_for(Duration::ZERO) {
        let asked = Instant::now();
        *soak.standstill.asked.lock().unwrap() = Some(asked);
        let asking = async {
            let mut connection = PgConnection::connect(&url).await?;
            connection.ping().await?;
            connection.close().await
        };
        let answered = tokio::time::timeout(Duration::from_secs(60), asking).await;
        *soak.standstill.asked.lock().unwrap() = None;
        // What is done to it on purpose is known already.
        let late = answered.is_err() || asked.elapsed() > SLOW;
        if late && !soak.outages.overlap("Postgres", asked, Instant::now()) {
            soak.outages.seen("Postgres", "slow by itself", asked);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
