//! What is live changes whole, and who waits for a revision is told when it has come.

use std::{sync::Arc, time::Duration};

use regate::{
    decision::{CompileOptions, Snapshot, SnapshotBuilder, facts::Fact},
    policy::{Live, Source},
    types::{Clock, DataRevision, SystemClock},
};

use super::{compile, tenant};

fn snapshot(revision: u64) -> Snapshot {
    let mut builder = SnapshotBuilder::default();
    builder.add(Fact::Tenant(tenant("default")));
    builder.finish(DataRevision(revision))
}

#[tokio::test]
async fn a_question_that_waits_goes_on_when_its_revision_is_published() {
    let bundle = compile("package regate\ndecision := true", &CompileOptions::default()).unwrap();
    let live = Arc::new(Live::new(bundle, snapshot(1)));
    let confirm = || live.confirm(Source::Tables, SystemClock.reading());
    let held = Arc::clone(&live.basis());
    live.wait_for_revision(DataRevision(1), Duration::ZERO).await.unwrap();
    let waiting = tokio::spawn({
        let live = Arc::clone(&live);
        async move { live.wait_for_revision(DataRevision(3), Duration::from_secs(60)).await }
    });
    live.publish_snapshot(snapshot(2));
    confirm();
    live.publish_snapshot(snapshot(3));
    confirm();
    waiting.await.unwrap().unwrap();
    assert_eq!(live.basis().snapshot().revision(), DataRevision(3));
    // Whoever took the state before keeps it whole.
    assert_eq!(held.snapshot().revision(), DataRevision(1));
    let late = live.wait_for_revision(DataRevision(4), Duration::from_millis(1)).await.unwrap_err();
    assert_eq!((late.wanted, late.present), (DataRevision(4), DataRevision(3)));
}
