//! A question that asks why waits for its turn, and what changes meanwhile has changed.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use regate::{
    api::{DecisionPoint, GatewayAuthentication},
    decision::{CompileOptions, DecisionRules, Question, Snapshot, SnapshotBuilder, facts::Fact},
    policy::{Live, Source},
    types::{Clock, ClockReading, DataRevision, RandomIds, Timestamp, TokenKind},
};

use crate::decisions::{compile, question, token, user};

/// A clock that stands still, and that whoever reads it first does not come back from until told.
struct HeldClock {
    read: AtomicBool,
    held: Barrier,
    goes_on: Barrier,
}

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1)
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }

    fn reading(&self) -> ClockReading {
        if !self.read.swap(true, Ordering::SeqCst) {
            self.held.wait();
            self.goes_on.wait();
        }
        ClockReading { now: self.now(), uptime: self.uptime() }
    }
}

fn rows(revoked: bool, revision: u64) -> Snapshot {
    let mut builder = SnapshotBuilder::default();
    let mut row = token("default", "t1", TokenKind::Global);
    row.revoked = revoked;
    builder.add(user("default", "u1"));
    builder.add(Fact::Token(row));
    builder.finish(DataRevision(revision))
}

#[test]
fn a_token_revoked_while_an_explanation_waits_is_revoked() {
    let bundle = compile("package regate\ndecision := true", &CompileOptions::default()).unwrap();
    let live = Arc::new(Live::new(bundle, rows(false, 1)));
    let clock =
        Arc::new(HeldClock { read: AtomicBool::new(false), held: Barrier::new(2), goes_on: Barrier::new(2) });
    let (now, uptime) = (clock.now(), clock.uptime());
    live.confirm(Source::Tables, ClockReading { now, uptime });
    let point = Arc::new(DecisionPoint::new(
        Arc::clone(&live),
        DecisionRules::default(),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(|| Box::new(RandomIds::new())),
        GatewayAuthentication::Optional,
        Duration::MAX,
    ));
    let why = || Question { explain: true, ..question(Some("t1"), "/x") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let first = {
        let point = Arc::clone(&point);
        runtime.spawn(async move { point.explain(&why()).await })
    };
    // It has its turn, and is in the middle of it.
    clock.held.wait();
    let asked = why();
    let mut second = pin!(point.explain(&asked));
    let waits = second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
    live.publish_snapshot(rows(true, 2));
    clock.goes_on.wait();
    assert!(waits);
    let decision = runtime.block_on(second);
    assert_eq!((decision.allow, decision.reasons.first.as_str()), (false, "token.revoked"));
    assert_eq!(decision.data_revision, DataRevision(2));
    runtime.block_on(first).unwrap();
}
