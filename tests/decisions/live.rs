//! What is live changes whole, and who waits for a revision is told when it has come.

use std::{sync::Arc, time::Duration};

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*, sample::select};
use regate::{
    auth,
    decision::{
        Basis, Bundle, CompileOptions, DocumentPath, Evaluator, Moment, Mount, MountedDocuments, Snapshot,
        SnapshotBuilder, Update, decide, document,
        facts::{
            Change, Collaborator, CredentialState, Fact, FactKey, Grant, Project, ProjectRole, Upstream,
            UpstreamCredential, User, UserRole,
        },
    },
    policy::{Live, Source},
    types::{
        Clock, ClockReading, DataRevision, Holder, KeyId, Sealed, SystemClock, TenantId, Timestamp, TokenKind,
    },
};
use serde_json::json;

use super::{NOW, World, compile, gist, question, tenant, token};

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

const TENANTS: [&str; 3] = ["default", "acme", "zeta"];
const IDS: [&str; 4] = ["a", "b", "c", "d"];

fn id() -> impl Strategy<Value = String> {
    select(&IDS[..]).prop_map(str::to_owned)
}

/// A row, of few ids, so that rows meet.
fn fact() -> impl Strategy<Value = Fact> {
    let roles = select(vec![UserRole::User, UserRole::Viewer, UserRole::Admin]);
    let project_roles = select(vec![ProjectRole::Viewer, ProjectRole::Owner]);
    let kinds = select(vec![TokenKind::Global, TokenKind::Mcp]);
    (select(&TENANTS[..]), id(), id(), any::<bool>(), 0..8, roles, project_roles, kinds).prop_map(
        |(of, id, other, flag, table, role, project_role, kind)| {
            let tenant = tenant(of);
            match table {
                0 => Fact::Tenant(tenant),
                1 => Fact::User(User { tenant, id, role, disabled: flag }),
                2 => Fact::Project(Project { tenant, id, name: other, public: flag }),
                3 => Fact::Collaborator(Collaborator {
                    tenant,
                    project_id: id,
                    user_id: other,
                    role: project_role,
                }),
                4 => {
                    let projects = flag.then(|| [(other, Some(5))].into());
                    // Found by one of few hashes, whatever its tenant.
                    let sha256 = auth::hash(&id);
                    Fact::Token(regate::decision::facts::Token { sha256, projects, ..token(of, &id, kind) })
                }
                5 => Fact::Upstream(Upstream { allow_all: flag, ..Upstream::new(tenant, &id) }),
                6 => Fact::Grant(Grant { tenant, token_id: id, upstream_id: other }),
                _ => Fact::Credential(UpstreamCredential {
                    tenant,
                    upstream_id: id,
                    holder: if flag { Holder::Shared } else { Holder::User(other) },
                    state: CredentialState::Active,
                    expires_at: flag.then_some(5),
                    sealed: Sealed { key: KeyId([0; 8]), bytes: Arc::from([u8::from(flag)]) },
                }),
            }
        },
    )
}

fn tenant_of(fact: &Fact) -> Option<TenantId> {
    match fact {
        Fact::Tenant(tenant) => Some(tenant.clone()),
        Fact::User(row) => Some(row.tenant.clone()),
        Fact::Project(row) => Some(row.tenant.clone()),
        Fact::Collaborator(row) => Some(row.tenant.clone()),
        Fact::Token(row) => row.tenant.clone(),
        Fact::Upstream(row) => Some(row.tenant.clone()),
        Fact::Grant(row) => Some(row.tenant.clone()),
        Fact::Credential(row) => Some(row.tenant.clone()),
    }
}

/// Rows as a database holds them.
#[derive(Clone, Default)]
struct Rows(HashMap<FactKey, Fact>);

impl Rows {
    fn change(&mut self, fact: Fact, remove: bool, cascade: bool) -> Vec<Change> {
        let (key, of) = (fact.key(), tenant_of(&fact).unwrap());
        if !remove {
            self.0.insert(key, fact.clone());
            return vec![Change::Put(fact)];
        }
        let gone: Vec<FactKey> = match &fact {
            // Where nothing refers to anything (SQLite without foreign keys) its rows stay.
            Fact::Tenant(_) if cascade => {
                let own = self.0.iter().filter(|(_, row)| tenant_of(row).as_ref() == Some(&of));
                own.map(|(key, _)| key.clone()).collect()
            }
            _ => vec![key],
        };
        gone.into_iter()
            .map(|key| {
                self.0.remove(&key);
                Change::Removed(key)
            })
            .collect()
    }

    fn basis(&self, bundle: &Arc<Bundle>, mounts: &Arc<[Mount]>, own: &Arc<MountedDocuments>) -> Basis {
        let mut builder = SnapshotBuilder::new(Arc::clone(mounts));
        self.0.values().cloned().for_each(|fact| builder.add(fact));
        let mut snapshot = builder.finish(DataRevision(1));
        snapshot.mount(0, Arc::clone(own));
        Basis::new(Arc::clone(bundle), snapshot)
    }
}

/// All that a decision can see, as text.
fn seen(basis: &Basis) -> Vec<String> {
    let mut seen = Vec::new();
    for name in TENANTS {
        let id = tenant(name);
        seen.push(format!("{name} {:?}", basis.document(&id)));
        let data = basis.snapshot().tenant(&id);
        for token in IDS {
            for upstream in IDS {
                seen.push(format!("{name} {:?} {}", data.upstream(upstream), data.granted(token, upstream)));
                let held = |holder: Holder| {
                    data.credential_of(upstream, &holder)
                        .map(|held| (held.sealed.bytes.to_vec(), held.expires_at))
                };
                seen.push(format!("{:?} {:?}", held(Holder::Shared), held(Holder::User(token.to_owned()))));
            }
        }
    }
    for token in IDS {
        seen.push(format!("{:?}", basis.snapshot().token(&auth::hash(token))));
    }
    let mut tenants: Vec<_> = basis.snapshot().tenants().map(TenantId::to_string).collect();
    tenants.sort();
    seen.push(tenants.join(" "));
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// However rows change, and whoever holds on to which state for how long: what is live is what a load
    /// would give, and what was taken before stays as it was.
    #[test]
    fn what_was_brought_up_to_date_is_what_would_be_loaded(
        steps in vec((vec((fact(), any::<bool>()), 1..6), 0..4_u8), 1..40),
    ) {
        let mounts: Arc<[Mount]> = Arc::new([Mount { path: "own.rows".parse().unwrap(), list: true }]);
        let options = CompileOptions { mounts: Arc::clone(&mounts), ..CompileOptions::default() };
        let bundle = compile("package regate\ndecision := true", &options).unwrap();
        let live =
            Live::new(Arc::clone(&bundle), SnapshotBuilder::new(Arc::clone(&mounts)).finish(DataRevision(0)));
        let mut rows = Rows::default();
        let mut own: Arc<MountedDocuments> = Arc::default();
        let mut held: Vec<(Arc<Basis>, Vec<String>)> = Vec::new();
        for (number, (changes, hold)) in steps.into_iter().enumerate() {
            let changes: Vec<Change> =
                changes.into_iter().flat_map(|(fact, remove)| rows.change(fact, remove, hold % 2 == 0)).collect();
            // Only the last word on each row comes from the store.
            let mut last: HashMap<FactKey, Change> = HashMap::new();
            for change in changes {
                let key = match &change {
                    Change::Put(fact) => fact.key(),
                    Change::Removed(key) => key.clone(),
                };
                last.insert(key, change);
            }
            let changes: Vec<Change> = last.into_values().collect();
            live.publish(Update::Rows(changes.into(), DataRevision(number as u64 + 1)));
            if hold == 3 {
                let of = tenant(TENANTS[number % TENANTS.len()]);
                own = Arc::new([(of, document(json!([number])))].into());
                live.publish(Update::Mounted(0, Arc::clone(&own)));
            }
            let present = live.basis();
            prop_assert_eq!(seen(&present), seen(&rows.basis(&bundle, &mounts, &own)));
            match hold {
                0 => held.push((Arc::clone(&present), seen(&present))),
                1 => drop(held.pop()),
                2 => live.prepare(),
                _ => {}
            }
            for (basis, before) in &held {
                prop_assert_eq!(&seen(basis), before);
            }
        }
    }
}

/// Where a tenant's users lie in memory.
fn users_of(live: &Live) -> usize {
    let basis = live.basis();
    let regate::decision::Document::Object(data) = basis.document(&tenant("default")) else {
        panic!("no object")
    };
    match data.get(&"users".into()) {
        Some(regate::decision::Document::Object(users)) => Arc::as_ptr(users) as usize,
        other => panic!("{other:?}"),
    }
}

/// Two copies take turns: what costs more than the change is copied once, and not again at every change.
#[test]
fn changes_are_made_in_place_unless_somebody_looks() {
    let bundle = compile("package regate\ndecision := true", &CompileOptions::default()).unwrap();
    let live = Live::new(bundle, snapshot(0));
    let mut revision = 0;
    let mut publish = || {
        revision += 1;
        let user = User {
            tenant: tenant("default"),
            id: format!("u{revision}"),
            role: UserRole::User,
            disabled: false,
        };
        live.publish(Update::Rows(Arc::new([Change::Put(Fact::User(user))]), DataRevision(revision)));
        users_of(&live)
    };
    let (first, second) = (publish(), publish());
    assert_ne!(first, second);
    assert_eq!([publish(), publish(), publish()], [first, second, first]);
    let held = Arc::clone(&live.basis());
    assert_eq!(publish(), second);
    // It is the turn of the copy that is held: another is made in its place.
    let third = publish();
    assert!(third != first && third != second);
    assert_eq!(live.unused().len(), 0);
    drop(held);
    assert_eq!(live.unused().len(), 1);
    assert_eq!([publish(), publish()], [second, third]);
}

fn reading(millis: i64) -> ClockReading {
    ClockReading { now: Timestamp::from_unix_millis(millis), uptime: Duration::from_millis(millis as u64) }
}

#[test]
fn the_age_is_that_of_the_source_that_was_confirmed_the_longest_ago() {
    let mount = |path: &str| Mount { path: path.parse().unwrap(), list: true };
    let mounts: Arc<[Mount]> = Arc::new([mount("a"), mount("b.c")]);
    let options = CompileOptions { mounts: Arc::clone(&mounts), ..CompileOptions::default() };
    let bundle = compile("package regate\ndecision := true", &options).unwrap();
    let live = Live::new(bundle, SnapshotBuilder::new(mounts).finish(DataRevision(0)));
    let age = |at| live.age(reading(at)).map(|age| age.as_millis());
    live.confirm(Source::Tables, reading(1_000));
    live.confirm(Source::Document(1), reading(2_000));
    assert_eq!(age(3_000), None);
    live.confirm(Source::Document(0), reading(2_500));
    assert_eq!(age(3_000), Some(2_000));
    live.confirm(Source::Tables, reading(2_900));
    assert_eq!(age(3_000), Some(1_000));
    // A confirmation that reaches into the future is no age.
    live.confirm(Source::Document(1), reading(9_000));
    assert_eq!(age(3_000), Some(500));
}

/// Workers keep nothing of the data between questions: what nobody looks at is changed in place.
#[test]
fn after_an_answer_nobody_holds_the_data() {
    let mut world = World::with_policy(
        "package regate\ndecision := {\"allow\": input.request.path[0] in object.keys(data.users)}",
    );
    assert!(world.ask(&question(Some("t1"), "/u1")).allow);
    let regate::decision::Document::Object(document) = world.basis.document(&tenant("default")).clone()
    else {
        panic!("no object")
    };
    // The basis and this test.
    assert_eq!(Arc::strong_count(&document), 2);
}

#[test]
fn stale_data_answers_nothing_but_what_needs_no_data() {
    let World { basis, rules, .. } = World::with_policy("package regate\ndecision := {\"allow\": true}");
    let mut evaluator = Evaluator::new(0);
    let mut ask = |secret, path| {
        let moment = Moment { now: Timestamp::from_unix_seconds(NOW), data_is_stale: true };
        decide(&mut evaluator, &basis, &rules, &question(secret, path), uuid::Uuid::nil(), moment)
    };
    for secret in [Some("t1"), Some("unknown"), None] {
        let decision = ask(secret, "/x");
        assert_eq!(gist(&decision), (false, 503, vec!["data.stale"]));
        // Whether the token is known is not said.
        assert!(decision.subject.is_none() && decision.challenge.is_none());
    }
    assert_eq!(gist(&ask(Some("t1"), "/health")), (true, 200, vec!["request.public_path"]));
    assert_eq!(gist(&ask(Some("t1"), "/a/../b")), (false, 400, vec!["request.ambiguous_path"]));
}

#[test]
fn own_documents_stand_beside_files_and_stay_through_a_load() {
    let mounts: Arc<[Mount]> = Arc::new([
        Mount { path: "company.teams".parse().unwrap(), list: true },
        Mount { path: "company.by.id".parse().unwrap(), list: false },
    ]);
    let options = CompileOptions { mounts: Arc::clone(&mounts), ..CompileOptions::default() };
    let policy = "package company.rules\nx := data.company.teams[0].name\n";
    let sources = [
        ("a.rego", policy),
        ("b.rego", "package regate\ndecision := {\"allow\": data.company.rules.x == \"red\", \"reasons\": [data.company.file]}"),
    ]
    .map(|(name, text)| regate::decision::RegoSource { name: name.into(), text: text.into() });
    let files = document(json!({"company": {"file": "from.a.file"}}));
    let revision = regate::types::PolicyRevision::from_digest(&[1]);
    let bundle = Arc::new(Bundle::compile(&sources, files, revision, &options).unwrap());
    let begin = || SnapshotBuilder::new(Arc::clone(&mounts)).finish(DataRevision(1));
    let live = Live::new(bundle, begin());
    let seen = |of: &str| live.basis().document(&tenant(of)).to_json_str().unwrap();
    assert!(
        seen("default").contains(r#""teams":[]"#.replace(':', ": ").as_str())
            || seen("default").contains(r#""teams":[]"#)
    );
    let rows: MountedDocuments = [(tenant("default"), document(json!([{"name": "red"}])))].into();
    live.publish(Update::Mounted(0, Arc::new(rows)));
    assert!(seen("default").contains("red"));
    // Another tenant sees its own rows, which are none.
    assert!(!seen("acme").contains("red"));
    live.publish_snapshot(begin());
    assert!(seen("default").contains("red"), "a load of the tables lost the document");
    live.publish(Update::Rows(Arc::new([Change::Put(Fact::Tenant(tenant("acme")))]), DataRevision(2)));
    assert!(seen("default").contains("red") && !seen("acme").contains("red"));
    let basis = live.basis();
    let mut evaluator = Evaluator::new(0);
    let moment = Moment { now: Timestamp::from_unix_seconds(NOW), data_is_stale: false };
    let rules = regate::decision::DecisionRules::default();
    let decision = decide(&mut evaluator, &basis, &rules, &question(None, "/x"), uuid::Uuid::nil(), moment);
    assert_eq!(gist(&decision), (true, 200, vec!["from.a.file"]));
}

#[test]
fn a_document_where_something_else_is_does_not_compile() {
    let try_at = |paths: &[&str], data: serde_json::Value| {
        let mounts = paths.iter().map(|path| Mount { path: path.parse().unwrap(), list: true }).collect();
        let options = CompileOptions { mounts, ..CompileOptions::default() };
        let source = regate::decision::RegoSource {
            name: "a.rego".into(),
            text: "package regate\ndecision := true\nhelper.of.mine := 1".into(),
        };
        let revision = regate::types::PolicyRevision::from_digest(&[1]);
        Bundle::compile(&[source], document(data), revision, &options).map_err(|error| error.to_string())
    };
    for path in ["regate", "regate.decision", "regate.decision.x", "regate.helper"] {
        let error = try_at(&[path], json!({})).unwrap_err();
        assert!(error.contains(path) && error.contains("collides with the rule"), "{error}");
    }
    for data in [json!({"a": {"b": 1}}), json!({"a": 1}), json!({"a": {"b": {"c": 1}}})] {
        assert!(try_at(&["a.b"], data).unwrap_err().contains("a data file"));
    }
    assert!(try_at(&["a.b", "a"], json!({})).unwrap_err().contains("the document"));
    try_at(&["regate.rows", "a.b", "a.c"], json!({"a": {"d": 1}})).unwrap();
    for (path, part) in [
        ("data.a", "left out"),
        ("a..b", "dots"),
        ("", "dots"),
        ("users.x", "regate's own tables"),
        ("a-b", "dots"),
    ] {
        let error = path.parse::<DocumentPath>().unwrap_err().to_string();
        assert!(error.contains(part), "{path}: {error}");
    }
}
