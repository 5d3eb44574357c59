//! Many who change grants, marks and credentials at once, of tokens and upstreams that overlap: B8.

use std::{collections::BTreeMap, sync::Arc};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use regate::{
    decision::facts::CredentialMode,
    store::{
        ConnectOptions, Store, StoreError,
        upstreams::{UpstreamChange, UpstreamGrants},
    },
};

use super::{
    TestDatabase, at, credential, flow, hash,
    model::{LINES, Model, Number, Operation, Owner, Set, members},
    random::key_of,
    tenant,
};

use Operation as O;

const TOKENS: Number = 50;
const UPSTREAMS: Number = 50;
const WRITERS: usize = 12;

/// Mostly of few, so that they meet.
fn random_number(random: &mut StdRng, most: Number) -> Number {
    if random.random_range(0..4) > 0 { random.random_range(0..6) } else { random.random_range(0..most) }
}

fn random_set(random: &mut StdRng, most: Number) -> Set {
    (0..random.random_range(0..12)).fold(0, |set, _| set | (1 << random_number(random, most)))
}

fn random_operation(random: &mut StdRng, place: usize) -> Operation {
    let (token, upstream) = (random_number(random, TOKENS), random_number(random, UPSTREAMS));
    let mark = random.random();
    match random.random_range(0..20) {
        0..5 => O::TokenGrants(token, random_set(random, UPSTREAMS)),
        5..10 => {
            let mark = random.random_range(0..3);
            let mark = [None, Some(true), Some(false)][mark];
            O::UpstreamGrants(upstream, random_set(random, TOKENS), mark)
        }
        10..13 => O::Mark(upstream, mark),
        13..17 => O::Put(Owner::Token(token), upstream),
        17 => O::Remove(Owner::Token(token), upstream),
        18 => O::Want(upstream, mark.then_some(0b01)),
        _ => O::Begin(Number::try_from(place % 250).unwrap(), Owner::Token(token), upstream),
    }
}

/// Does it, and gives the revision if it changed something.
async fn perform(store: &dyn Store, operation: Operation, place: usize) -> Result<Option<u64>, StoreError> {
    let a = tenant("a");
    let names = |prefix: &str, set| members(set).map(|number| format!("{prefix}{number}")).collect();
    let change = async |upstream: Number, change: UpstreamChange| {
        let written = store.put_upstream(&a, &format!("x{upstream}"), &change).await?;
        Ok(written.changed.then_some(written.revision.0))
    };
    match operation {
        O::TokenGrants(token, upstreams) => {
            let upstreams = names("x", upstreams);
            let written = store.set_token_grants(&a, &format!("t{token}"), &upstreams, at(0)).await?;
            Ok(written.changed.then_some(written.revision.0))
        }
        O::UpstreamGrants(upstream, tokens, allow_all) => {
            let grants = UpstreamGrants { tokens: names("t", tokens), allow_all };
            let written = store.set_upstream_grants(&a, &format!("x{upstream}"), &grants).await?;
            Ok(written.changed.then_some(written.revision.0))
        }
        O::Mark(upstream, mark) => {
            change(upstream, UpstreamChange { allow_all: Some(mark), ..UpstreamChange::default() }).await
        }
        O::Want(upstream, wants) => {
            let value_headers = Some(wants.map(|_| vec!["x-a".to_owned()]));
            change(upstream, UpstreamChange { value_headers, ..UpstreamChange::default() }).await
        }
        O::Put(owner, upstream) => {
            let written = store.put_credential(&credential(key_of(owner, upstream))).await?;
            Ok(Some(written.revision.0))
        }
        O::Remove(owner, upstream) => match store.remove_credential(&key_of(owner, upstream)).await {
            // Without a credential it took flows alone, and the revision is another's.
            Ok(revision) => Ok(Some(revision.0)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        },
        O::Begin(_, owner, upstream) => {
            match store.begin_flow(&flow(&format!("f{place}"), key_of(owner, upstream))).await {
                Ok(()) | Err(StoreError::NotGranted) => Ok(None),
                Err(error) => Err(error),
            }
        }
        other => panic!("{other:?} is not for many at once"),
    }
}

async fn scene(database: &TestDatabase) -> Model {
    let mut model = Model::default();
    let rows = |count: Number, row: fn(Number) -> String| (0..count).map(row).collect::<Vec<_>>().join(",");
    let token = |id| {
        let sha256 = hash(1000 + u32::from(id));
        format!(r#"{{"id": "t{id}", "tenant": "a", "kind": "mcp", "name": "n", "sha256": "{sha256}"}}"#)
    };
    let upstream = |id| {
        format!(r#"{{"id": "x{id}", "tenant": "a", "url": "https://x.example", "credential": "per_token"}}"#)
    };
    let document = format!(
        r#"{{"tenants": [{{"id": "a"}}], "tokens": [{}], "upstreams": [{}]}}"#,
        rows(TOKENS, token),
        rows(UPSTREAMS, upstream)
    );
    database.import(&document).await;
    (0..TOKENS).for_each(|token| model.apply(O::Mint(token, None)).unwrap());
    (0..UPSTREAMS).for_each(|id| model.apply(O::PutUpstream(id, CredentialMode::PerToken)).unwrap());
    model
}

/// Runs all operations from several writers over two stores. Then what is stored is what the model has when it does the
/// same one after the other, in the order of the revisions.
async fn many_at_once(database: TestDatabase, seed: u64, count: usize) {
    let mut model = scene(&database).await;
    let other = regate::store::connect(&database.url, ConnectOptions::default()).await.unwrap();
    let stores: [Arc<dyn Store>; 2] = [database.store.clone(), other];
    let mut random = StdRng::seed_from_u64(seed);
    let operations: Vec<Operation> = (0..count).map(|place| random_operation(&mut random, place)).collect();
    let operations = Arc::new(operations);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (operations, store) = (operations.clone(), stores[writer % stores.len()].clone());
            tokio::spawn(async move {
                let mut done = Vec::new();
                for (place, operation) in operations.iter().enumerate().skip(writer).step_by(WRITERS) {
                    loop {
                        match perform(&*store, *operation, place).await {
                            Ok(revision) => {
                                break done.extend(revision.map(|revision| (revision, *operation)));
                            }
                            // The one error after which a caller tries again.
                            Err(StoreError::Conflict(_)) => {}
                            Err(error) => panic!("seed {seed}: {operation:?}: {error:?}"),
                        }
                    }
                }
                done
            })
        })
        .collect();
    let mut done = Vec::new();
    for writer in writers {
        done.extend(writer.await.unwrap());
    }
    // Between those of the same revision is one that changed nothing that counts here.
    done.sort_by_key(|(revision, operation)| (*revision, matches!(operation, O::Remove(..))));
    for (revision, operation) in &done {
        let applied = model.apply(*operation);
        assert!(
            applied.is_ok() || matches!(operation, O::Remove(..)),
            "seed {seed}: {revision} {operation:?}"
        );
    }
    // Flows are no decision data, so they have no revision: they are there where their token may reach the upstream.
    let is_no_flow = |line: &String| !line.starts_with("flow ");
    let mut lines: Vec<String> = database.texts(LINES).await.into_iter().filter(is_no_flow).collect();
    lines.sort_unstable();
    assert_eq!(lines, model.lines(), "seed {seed}: {done:?}");
    let lost = "select f.id from credential_flows as f where not exists (select 1 from token_reach as r \
                where r.tenant = f.tenant and r.token_id = f.token_id and r.upstream_id = f.upstream_id)";
    assert_eq!(database.texts(lost).await, [""; 0], "seed {seed}");
    let counts: BTreeMap<&str, usize> = lines.iter().fold(BTreeMap::new(), |mut counts, line| {
        *counts.entry(line.split(' ').next().unwrap()).or_default() += 1;
        counts
    });
    assert!(counts["credential"] > 10 && counts["grant"] > 10, "seed {seed}: {counts:?}");
    if database.is_postgres() {
        // Nothing had to be undone. What a connection has counted is known when it has ended.
        for store in &stores {
            store.close().await;
        }
        let still = "select count(*)::text from pg_stat_activity where datname = current_database() \
                     and application_name = 'regate'";
        while database.text(still).await != "0" {
            tokio::task::yield_now().await;
        }
        let deadlocks = "select deadlocks::text from pg_stat_database where datname = current_database()";
        assert_eq!(database.text(deadlocks).await, "0", "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_many_changes_at_once_on_postgres() {
    many_at_once(TestDatabase::postgres().await, 1, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_many_changes_at_once_on_sqlite() {
    many_at_once(TestDatabase::sqlite().await, 2, 1_000).await;
}
