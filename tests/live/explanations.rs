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
    api::{self, Channel, DecisionPoint, GatewayAuthentication, HttpBounds, Server, Shared},
    auth::CredentialReader,
    decision::{CompileOptions, DecisionRules, Question, Snapshot, SnapshotBuilder, facts::Fact},
    policy::{Live, Source},
    types::{Clock, ClockReading, DataRevision, RandomIds, Timestamp, TokenKind},
};

use crate::{
    decisions::{compile, question, token, user},
    harness::http::send,
};

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
        runtime.spawn(async move {
            let turn = point.explaining_turn().await;
            point.explain(&turn, &why()).await
        })
    };
    // It has its turn, and is in the middle of it.
    clock.held.wait();
    let asked = why();
    let mut second = pin!(async {
        let turn = point.explaining_turn().await;
        point.explain(&turn, &asked).await
    });
    let waits = second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
    live.publish_snapshot(rows(true, 2));
    clock.goes_on.wait();
    assert!(waits);
    let decision = runtime.block_on(second);
    assert_eq!((decision.allow, decision.reasons.first.as_str()), (false, "token.revoked"));
    assert_eq!(decision.data_revision, DataRevision(2));
    runtime.block_on(first).unwrap();
}

/// A clock that stands still, and says when it was first asked for the time.
struct ToldClock(Barrier, AtomicBool);

impl Clock for ToldClock {
    fn now(&self) -> Timestamp {
        if !self.1.swap(true, Ordering::SeqCst) {
            self.0.wait();
        }
        Timestamp::from_unix_seconds(1)
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }

    fn reading(&self) -> ClockReading {
        ClockReading { now: Timestamp::from_unix_seconds(1), uptime: Duration::ZERO }
    }
}

fn a_gateway(revoked: bool, revision: u64) -> Snapshot {
    let mut builder = SnapshotBuilder::default();
    let mut row = token("default", "edge", TokenKind::Gateway);
    (row.revoked, row.user_id) = (revoked, None);
    builder.add(Fact::Token(row));
    builder.finish(DataRevision(revision))
}

#[test]
fn a_gateway_revoked_while_its_explanation_waits_is_told_nothing() {
    for path in ["/v1/decide", "/v1/decide/batch"] {
        let bundle = compile("package regate\ndecision := true", &CompileOptions::default()).unwrap();
        let live = Arc::new(Live::new(bundle, a_gateway(false, 1)));
        let clock = Arc::new(ToldClock(Barrier::new(2), AtomicBool::new(false)));
        live.confirm(Source::Tables, clock.reading());
        let point = Arc::new(DecisionPoint::new(
            Arc::clone(&live),
            DecisionRules::default(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(|| Box::new(RandomIds::new())),
            GatewayAuthentication::Required,
            Duration::MAX,
        ));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let bounds = Arc::new(HttpBounds::default());
        let server = runtime.block_on(Server::bind("127.0.0.1:0", Arc::clone(&bounds))).unwrap();
        let address = server.address().unwrap().to_string();
        let router = api::router(Shared {
            point: Arc::clone(&point),
            bounds,
            channel: Channel::Loopback,
            faces: Arc::default(),
            credentials: CredentialReader::default(),
            feed: None,
            policies: None,
            management: None,
        });
        runtime.spawn(server.serve(router, std::future::pending()));
        let turn = runtime.block_on(point.explaining_turn());
        let asking = std::thread::spawn(move || {
            let question = r#"{"request": {"method": "GET", "path": "/x"}, "explain": true}"#;
            let body = match path {
                "/v1/decide" => question.to_owned(),
                _ => format!("{{\"requests\": [{question}]}}"),
            };
            send(&address, "POST", path, &[("authorization", "Bearer edge")], body.as_bytes()).status
        });
        // It was good when the call came.
        clock.0.wait();
        live.publish_snapshot(a_gateway(true, 2));
        drop(turn);
        assert_eq!(asking.join().unwrap(), 401, "{path}");
        runtime.shutdown_background();
    }
}
