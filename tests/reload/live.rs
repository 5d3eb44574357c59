//! A bundle that is activated while data changes: whole, at once, and for good.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use regate::{
    decision::{
        Bundle, CompileOptions, RegoSource, SnapshotBuilder, Update, document,
        facts::{Change, Fact, Project},
    },
    policy::Live,
    types::{DataRevision, PolicyRevision, TenantId},
};
use serde_json::json;

/// The bundle with this number, which is also in its data.
fn bundle(number: u64) -> Arc<Bundle> {
    let sources = [RegoSource { name: "a.rego".into(), text: "package regate\n\ndecision := true\n".into() }];
    let revision = PolicyRevision::from_digest(&number.to_be_bytes());
    let data = document(json!({"bundle": number}));
    Arc::new(Bundle::compile(&sources, data, revision, &CompileOptions::default()).unwrap())
}

fn project(number: u64) -> Fact {
    let id = format!("p{}", number % 50);
    Fact::Project(Project { tenant: TenantId::default_tenant(), id, name: number.to_string(), public: false })
}

fn update(number: u64) -> Update {
    Update::Rows([Change::Put(project(number))].into(), DataRevision(number))
}

/// What is live: the bundle by its own number, by that in its data, and the data by its revision and its rows.
fn seen(live: &Live) -> [u64; 4] {
    let basis = live.basis();
    let own = u64::from_str_radix(basis.bundle().revision().as_str(), 16).unwrap();
    let document = serde_json::to_value(basis.document(&TenantId::default_tenant())).unwrap();
    let rows = document["projects"].as_object().into_iter().flatten();
    let newest = rows.map(|(_, row)| row["name"].as_str().unwrap().parse::<u64>().unwrap()).max();
    let data = document["bundle"].as_u64().unwrap();
    [own, data, basis.snapshot().revision().0, newest.unwrap_or_default()]
}

#[test]
fn updates_during_and_after_an_activation_keep_the_new_bundle() {
    for loaded in [false, true] {
        let live = Live::new(bundle(0), SnapshotBuilder::default().finish(DataRevision(0)));
        if loaded {
            live.prepare();
        }
        let mut revision = 0;
        let mut publish = || {
            revision += 1;
            live.publish(update(revision));
            revision
        };
        // With none, one and two updates before: both copies take their turn.
        for number in 1..10 {
            for _ in 0..number % 3 {
                publish();
            }
            live.activate(&bundle(number));
            let [own, data, ..] = seen(&live);
            assert_eq!((own, data), (number, number));
            for _ in 0..3 {
                let at = publish();
                assert_eq!(seen(&live), [number, number, at, at]);
            }
        }
        // A load keeps it too.
        let mut builder = SnapshotBuilder::default();
        builder.add(project(1_000));
        live.publish_snapshot(builder.finish(DataRevision(1_000)));
        assert_eq!(seen(&live), [9, 9, 1_000, 1_000]);
        live.prepare();
        live.activate(&bundle(10));
        live.publish(update(1_001));
        live.publish(update(1_002));
        assert_eq!(seen(&live), [10, 10, 1_002, 1_002]);
    }
}

#[test]
fn a_reader_that_stays_keeps_what_it_took_and_holds_up_nobody_for_long() {
    let live = Live::new(bundle(0), SnapshotBuilder::default().finish(DataRevision(0)));
    live.prepare();
    live.publish(update(1));
    let held = Arc::clone(&live.basis());
    live.activate(&bundle(1));
    let held_too = Arc::clone(&live.basis());
    live.activate(&bundle(2));
    for number in 2..6 {
        live.publish(update(number));
        assert_eq!(seen(&live), [2, 2, number, number]);
    }
    for (held, number) in [(held, 0), (held_too, 1)] {
        assert_eq!(held.bundle().revision().as_str(), format!("{number:016x}"));
        let document = serde_json::to_value(held.document(&TenantId::default_tenant())).unwrap();
        assert_eq!((&document["bundle"], &document["projects"]["p1"]["name"]), (&json!(number), &json!("1")));
    }
    assert!(!live.unused().is_empty());
}

#[test]
fn whoever_reads_sees_both_go_forward_and_never_a_mixture() {
    const BUNDLES: u64 = 300;
    let live = Live::new(bundle(0), SnapshotBuilder::default().finish(DataRevision(0)));
    live.prepare();
    let (over, activated, published) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=BUNDLES {
                live.activate(&bundle(number));
                activated.store(number, Ordering::SeqCst);
            }
            over.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            let mut number = 0;
            while !over.load(Ordering::SeqCst) {
                number += 1;
                live.publish(update(number));
                published.store(number, Ordering::SeqCst);
                drop(live.unused());
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = [0, 0];
                while !over.load(Ordering::SeqCst) {
                    let least = [activated.load(Ordering::SeqCst), published.load(Ordering::SeqCst)];
                    let [own, data, revision, newest] = seen(&live);
                    assert_eq!((own, revision), (data, newest));
                    assert!(own >= least[0].max(last[0]), "bundle {own} after {last:?} and {least:?}");
                    assert!(
                        revision >= least[1].max(last[1]),
                        "data {revision} after {last:?} and {least:?}"
                    );
                    last = [own, revision];
                }
            });
        }
    });
    assert_eq!(seen(&live)[..2], [BUNDLES, BUNDLES]);
}
