//! The folder is rewritten a thousand times while questions are asked: each answer is that of one good bundle.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use regate::{
    api::{DecisionPoint, GatewayAuthentication, NewIds},
    decision::{CompileOptions, Decision, DecisionRules, SnapshotBuilder},
    policy::{
        BundleLimits, FirstBundle, Gather, Live, PolicySettings, PolicySource, Reloader, Source,
        WatchOptions, load,
    },
    types::{Clock, DataRevision, RandomIds, SystemClock},
};

use super::{TESTS, data, rules, swap_link, until};
use crate::decisions::question;

const REWRITINGS: usize = 1_000;
const CLIENTS: usize = 3;

/// What the folder says in turn. Only the first and the third may ever decide.
const BUNDLES: [&str; 4] = ["A", "broken", "B", "failing"];

fn rules_of(name: &str) -> String {
    let text = rules(name);
    if name == "broken" { format!("{text}\nbroken :=\n") } else { text }
}

/// One way to write a bundle.
fn write(way: usize, root: &Path, number: usize, name: &str) {
    let current = root.join("current");
    let file = |folder: &Path, file: &str| folder.join(file);
    let all = [("rules.rego", rules_of(name)), ("release/data.json", data(name))];
    match way {
        // As editors save.
        0 => {
            for (path, text) in all {
                let path = file(&current, path);
                let new = path.with_extension("new");
                fs::write(&new, text).unwrap();
                fs::rename(new, path).unwrap();
            }
        }
        // In place: for a moment the file is empty, or half of it.
        1 => {
            for (path, text) in all {
                fs::write(file(&current, path), text).unwrap();
            }
        }
        // The whole folder at once.
        _ => {
            let before = fs::canonicalize(&current).ok();
            let next = PathBuf::from(format!("release-{number}"));
            fs::create_dir_all(root.join(&next).join("release")).unwrap();
            for (path, text) in all {
                fs::write(file(&root.join(&next), path), text).unwrap();
            }
            swap_link(&current, &next);
            if let Some(before) = before {
                fs::remove_dir_all(before).unwrap();
            }
        }
    }
}

struct World {
    point: DecisionPoint,
    /// The name of the bundle with this revision, for those that may decide.
    names: HashMap<String, &'static str>,
    decisions: AtomicU64,
    over: AtomicBool,
}

impl World {
    /// The name of the bundle that decided. Its revision, its rules and its data must be of one.
    fn check(&self, decision: &Decision) -> &'static str {
        let name = self.names.get(decision.policy_revision.as_str());
        let name = name.unwrap_or_else(|| panic!("neither A nor B decided: {decision:?}"));
        let reasons: Vec<&str> = decision.reasons.codes().collect();
        assert_eq!(reasons, [format!("rules.{name}"), format!("data.{name}")], "{decision:?}");
        assert!(decision.allow && decision.fault.is_none(), "{decision:?}");
        self.decisions.fetch_add(1, Ordering::Relaxed);
        name
    }

    fn ask(&self) {
        let question = question(None, "/a");
        while !self.over.load(Ordering::Relaxed) {
            for _ in 0..100 {
                self.check(&self.point.judge(&question));
            }
            // A batch is of one bundle, however long it takes.
            let taken = self.point.take();
            let first = self.check(&self.point.judge_from(&taken, &question));
            for _ in 0..10 {
                thread::yield_now();
                assert_eq!(self.check(&self.point.judge_from(&taken, &question)), first);
            }
        }
    }

    fn rewrite(&self, root: &Path, reloader: &Reloader) {
        for number in 0..REWRITINGS {
            let name = BUNDLES[number % BUNDLES.len()];
            write(number % 3, root, number, name);
            let state = || {
                let state = reloader.state();
                (
                    state.active.revision.to_string(),
                    state.failure.as_ref().map(|failed| failed.failure.clone()),
                )
            };
            if self.names.values().any(|good| *good == name) {
                until(state, |(revision, failure)| {
                    failure.is_none() && self.names.get(revision).is_some_and(|active| *active == name)
                });
            } else if number % 25 < 4 {
                until(state, |(_, failure)| {
                    let text =
                        if name == "broken" { "rules.rego:8:1" } else { "release_test.test_the_release" };
                    failure.as_ref().is_some_and(|failure| failure.message.contains(text))
                });
            }
        }
        self.over.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_thousand_rewritings_and_not_one_wrong_decision() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let current = PolicySource::Paths(vec![root.join("current")]);
    fs::create_dir(root.join("tests")).unwrap();
    fs::write(root.join("tests/release_test.rego"), TESTS).unwrap();
    let mut names = HashMap::new();
    for name in ["B", "A"] {
        write(2, root, REWRITINGS, name);
        names.insert(load(&current).unwrap().revision.to_string(), name);
        fs::rename(root.join(format!("release-{REWRITINGS}")), root.join(name)).unwrap();
        swap_link(&root.join("current"), Path::new(name));
    }
    let settings = PolicySettings {
        source: current,
        tests: vec![root.join("tests")],
        limits: BundleLimits::default(),
        test_time: PolicySettings::TEST_TIME,
        compile: CompileOptions { workers: CLIENTS, ..CompileOptions::default() },
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let first = FirstBundle::prepare(settings, Arc::clone(&clock)).unwrap();
    let nothing = SnapshotBuilder::default().finish(DataRevision(1));
    let live = Arc::new(Live::new(Arc::clone(first.bundle()), nothing));
    live.confirm(Source::Tables, clock.reading());
    // Quicker than `serve`, so that a thousand fit into a test.
    let gather = Gather { quiet: Duration::from_millis(3), at_most: Duration::from_millis(50) };
    let options = WatchOptions { gather, ..WatchOptions::default() };
    let policies = first.keep(Arc::clone(&live), options).unwrap();
    let ids: NewIds = Arc::new(|| Box::new(RandomIds::new()));
    let optional = GatewayAuthentication::Optional;
    let rules = DecisionRules::default();
    let point = DecisionPoint::new(live, rules, clock, ids, optional, Duration::MAX);
    let world = World { point, names, decisions: AtomicU64::new(0), over: AtomicBool::new(false) };
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| world.ask());
        }
        // A test that fails must not leave the clients asking for ever.
        let rewriting = std::panic::AssertUnwindSafe(|| world.rewrite(root, policies.reloader()));
        let rewritten = std::panic::catch_unwind(rewriting);
        world.over.store(true, Ordering::Relaxed);
        rewritten.unwrap();
    });
    let state = policies.reloader().state();
    assert!(state.watching);
    assert!(state.activations >= REWRITINGS as u64 / 2, "{state:?}");
    assert!(world.decisions.load(Ordering::Relaxed) > 100_000);
}
