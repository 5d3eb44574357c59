//! At the end: every decision that somebody was answered is in the decision log, once, as it was answered.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection};

use super::{Soak, program};

/// What was found in the log.
pub struct Records {
    /// Decisions that somebody was answered.
    pub answered: usize,
    pub in_the_log: usize,
    /// How long shipping went on after the last question.
    pub shipped_after: Duration,
    /// What `regate audit verify` said.
    pub verified: String,
}

/// So long nothing may be shipped before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until all is shipped, and compares.
pub async fn compare(soak: &Soak, url: &str) -> Records {
    let shipped_after = until_shipped(soak).await;
    let (answered, reasons) = soak.tally.take_answered();
    let mut expected: HashMap<u128, (bool, u16)> = HashMap::with_capacity(answered.len());
    for one in &answered {
        if expected.insert(one.id, (one.allow, one.reason)).is_some() {
            soak.tally.fail("a decision's id was answered twice".to_owned());
        }
    }
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    let mut in_the_log = 0;
    let mut wrong = 0;
    let mut rows =
        sqlx::query_as::<_, (String, bool, String)>("select decision_id, allow, reason from decisions")
            .fetch(&mut connection);
    // Ids that nobody was answered (of management calls, and of clients that did not stay) may be there, once.
    let mut others = std::collections::HashSet::new();
    while let Some((id, allow, reason)) = rows.try_next().await.expect("a record") {
        in_the_log += 1;
        let id = uuid::Uuid::parse_str(&id).map(|id| id.as_u128()).unwrap_or_default();
        match expected.remove(&id) {
            Some((as_allow, as_reason)) => {
                wrong += usize::from(allow != as_allow || reason != reasons[usize::from(as_reason)]);
                others.insert(id);
            }
            None if !others.insert(id) => soak.tally.fail(format!("decision {id:x} is in the log twice")),
            None => {}
        }
    }
    if wrong > 0 {
        soak.tally.fail(format!("{wrong} decisions are in the log otherwise than they were answered"));
    }
    if !expected.is_empty() {
        soak.tally.fail(format!("{} decisions were answered and are not in the log", expected.len()));
    }
    Records { answered: answered.len(), in_the_log, shipped_after, verified: verify(soak) }
}

async fn until_shipped(soak: &Soak) -> Duration {
    let begun = Instant::now();
    let (mut least, mut since) = (f64::MAX, Instant::now());
    loop {
        match soak.metric("regate_audit_spool_records").await {
            Some(0.0) => return begun.elapsed(),
            Some(left) if left < least => (least, since) = (left, Instant::now()),
            _ if since.elapsed() > PATIENCE => {
                soak.tally.fail(format!("{least} records are not shipped"));
                return begun.elapsed();
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn verify(soak: &Soak) -> String {
    let verified = program::run(&soak.program, &soak.folder, &["audit", "verify"]);
    let said = String::from_utf8_lossy(&verified.stdout).trim().to_owned();
    if !verified.status.success() {
        soak.tally.fail(format!("audit verify: {said} {}", String::from_utf8_lossy(&verified.stderr)));
    }
    said
}
