//! Random sequences of operations against the model. Each failure that was found stays as a named case.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use regate::{
    decision::facts::{CredentialMode, CredentialState},
    store::{
        ConnectOptions, NewToken, Since, StoreError, UserChange,
        upstreams::{CredentialForm, CredentialKey, NewCredential, UpstreamChange, UpstreamGrants},
    },
    types::{Holder, TokenKind},
};

use super::{
    TestDatabase, at, credential, flow, hash,
    model::{LINES, Model, Number, Operation, Owner, Set, members},
    of, tenant,
};
use crate::store::feed::Replica;

use Operation as O;

/// What is always run first, on both databases.
enum Case {
    Seed(u64),
    Steps(&'static [Operation]),
}

const T0: Owner = Owner::Token(0);
const NAMED_CASES: &[(&str, Case)] = &[
    (
        "a grant that returns finds the credential that it left, and no flow",
        Case::Steps(&[
            O::TokenGrants(0, 0b001),
            O::Put(T0, 0),
            O::Begin(0, T0, 0),
            O::Take(0),
            O::RawUngrantAll,
            O::Complete(0),
            O::Restart,
            O::UpstreamGrants(0, 0b001, None),
            O::Complete(0),
        ]),
    ),
    (
        "a mark that goes leaves the grant, and a grant that goes leaves the mark",
        Case::Steps(&[
            O::Put(T0, 0),
            O::RawMarkAll(true),
            O::RawGrant(0, 0),
            O::RawMark(0, false),
            O::UpstreamGrants(0, 0, Some(true)),
            O::UpstreamGrants(0, 0, Some(false)),
        ]),
    ),
    (
        "a token whose user is removed takes what it holds along, whichever way",
        Case::Steps(&[
            O::RawMarkAll(true),
            O::Put(T0, 0),
            O::Put(Owner::User(0), 2),
            O::RawRemoveUser(0),
            O::PutUser(0),
            O::Mint(0, Some(0)),
            O::Put(T0, 0),
            O::RawRemoveTenant,
        ]),
    ),
    (
        "what needs other headers is orphaned by nobody and mended by a new one",
        Case::Steps(&[
            O::TokenGrants(0, 0b001),
            O::Put(T0, 0),
            O::Want(0, Some(0b01)),
            O::RawUngrantAll,
            O::TokenGrants(0, 0b001),
            O::PutValues(T0, 0, 0b10),
            O::PutValues(T0, 0, 0b11),
            O::Want(0, Some(0b11)),
            O::Want(0, None),
        ]),
    ),
    ("the first of the seeds", Case::Seed(0)),
];

/// Two users, three tokens, two upstreams with credentials of tokens and one of users.
const SCENE: &[Operation] = &[
    O::PutUser(0),
    O::PutUser(1),
    O::Mint(0, Some(0)),
    O::Mint(1, Some(1)),
    O::Mint(2, None),
    O::PutUpstream(0, CredentialMode::PerToken),
    O::PutUpstream(1, CredentialMode::PerToken),
    O::PutUpstream(2, CredentialMode::PerUser),
];

fn scene_sql() -> String {
    format!(
        "begin;
         delete from tenants where id = 'a'; insert into tenants (id) values ('a');
         insert into users (tenant, id) values ('a', 'u0'), ('a', 'u1');
         insert into tokens (tenant, id, kind, name, sha256, user_id) values ('a', 't0', 'mcp', 'n', '{}', 'u0'),
             ('a', 't1', 'mcp', 'n', '{}', 'u1'), ('a', 't2', 'mcp', 'n', '{}', null);
         insert into upstreams (tenant, id, url, credential) values ('a', 'x0', 'https://x', 'per_token'),
             ('a', 'x1', 'https://x', 'per_token'), ('a', 'x2', 'https://x', 'per_user');
         commit",
        hash(100),
        hash(101),
        hash(102)
    )
}

fn random_owner(random: &mut StdRng) -> Owner {
    match random.random_range(0..10) {
        0 => Owner::Shared,
        1..4 => Owner::User(random.random_range(0..2)),
        _ => Owner::Token(random.random_range(0..3)),
    }
}

/// Mostly an owner and an upstream that fit.
fn random_key(random: &mut StdRng) -> (Owner, Number) {
    match random_owner(random) {
        owner @ Owner::User(_) if random.random_range(0..8) > 0 => (owner, 2),
        owner => (owner, random.random_range(0..3)),
    }
}

fn random_operation(random: &mut StdRng) -> Operation {
    let (user, token, upstream, number): (Number, Number, Number, Number) = (
        random.random_range(0..2),
        random.random_range(0..3),
        random.random_range(0..3),
        random.random_range(0..4),
    );
    let (set, mark): (Set, bool) = (random.random_range(0..8), random.random());
    let (owner, of) = random_key(random);
    match random.random_range(0..100) {
        0 => O::PutUser(user),
        1 => O::RemoveUser(user),
        2..4 => O::Mint(token, mark.then_some(user)),
        4 => O::RemoveToken(token),
        5 => O::Revoke(token),
        6..9 => {
            let modes = [
                CredentialMode::PerToken,
                CredentialMode::PerUser,
                CredentialMode::Shared,
                CredentialMode::None,
            ];
            O::PutUpstream(upstream, modes[usize::from(number)])
        }
        9 => O::RemoveUpstream(upstream),
        10..14 => O::Want(upstream, mark.then_some(1 + set % 3)),
        14..19 => O::Mark(upstream, mark),
        19 => O::Rename(upstream),
        20..29 => O::TokenGrants(token, set),
        29..38 => {
            O::UpstreamGrants(upstream, set, [None, None, Some(true), Some(false)][usize::from(number)])
        }
        38..54 => O::Put(owner, of),
        54..58 => O::PutValues(owner, of, set % 4),
        58..61 => O::Remove(owner, of),
        61..68 => O::Begin(number, owner, of),
        68..72 => O::Take(number),
        72..76 => O::Complete(number),
        76 => O::RemoveFlow(number),
        77..80 => {
            let states = [CredentialState::NeedsReauth, CredentialState::NeedsUpdate];
            O::SetState(owner, of, states[usize::from(mark)])
        }
        80 => O::SweepOrphans,
        81 => O::SweepFlows,
        82..86 => O::RawGrant(token, upstream),
        86..89 => O::RawUngrant(token, upstream),
        89 => O::RawUngrantToken(token),
        90 => O::RawUngrantAll,
        91..94 => O::RawMark(upstream, mark),
        94 => O::RawMarkAll(mark),
        95 => O::RawRemoveToken(token),
        96 => O::RawRemoveUser(user),
        97 => O::RawRemoveUpstream(upstream),
        98 => [O::RawRevokeAll, O::RawRemoveTenant][usize::from(mark)],
        _ => O::Restart,
    }
}

pub fn key_of(owner: Owner, upstream: Number) -> CredentialKey {
    let holder = match owner {
        Owner::Shared => Holder::Shared,
        Owner::User(user) => Holder::User(format!("u{user}")),
        Owner::Token(token) => Holder::Token(format!("t{token}")),
    };
    of(holder, &format!("x{upstream}"))
}

/// Does it to the store. What gives no revision gives none; the revision is one only where something changed.
pub async fn perform(
    database: &mut TestDatabase,
    model: &Model,
    operation: Operation,
) -> Result<(), StoreError> {
    if operation == O::Restart {
        database.store.close().await;
        database.store = regate::store::connect(&database.url, ConnectOptions::default()).await?;
        return Ok(());
    }
    let (store, a) = (&database.store, tenant("a"));
    let names = |prefix: &str, set| members(set).map(|number| format!("{prefix}{number}")).collect();
    let change = async |upstream: Number, change: UpstreamChange| {
        store.put_upstream(&a, &format!("x{upstream}"), &change).await.map(drop)
    };
    let raw = async |sql: String| {
        database.execute(&sql).await.unwrap();
        Ok(())
    };
    let headers =
        |set: Set| members(set).map(|number| ["x-a", "x-b"][usize::from(number)].to_owned()).collect();
    match operation {
        O::PutUser(user) => store.put_user(&a, &format!("u{user}"), &UserChange::default()).await.map(drop),
        O::RemoveUser(user) => store.remove_user(&a, &format!("u{user}")).await.map(drop),
        O::Mint(token, user) => {
            let new = NewToken {
                id: format!("t{token}"),
                tenant: Some(a.clone()),
                kind: TokenKind::Mcp,
                name: "n".to_owned(),
                sha256: hash(100 + u32::from(token)).parse().unwrap(),
                prefix: None,
                user_id: user.map(|user| format!("u{user}")),
                project_id: None,
                scope_pull: false,
                scope_push: false,
                projects: None,
                tools: None,
                expires_at: None,
                created_at: at(0),
            };
            store.mint_token(&new, 100).await.map(drop)
        }
        O::RemoveToken(token) => store.remove_unshown_token(&format!("t{token}")).await.map(drop),
        O::Revoke(token) => store.revoke_token(&format!("t{token}"), Some(&a), at(0)).await.map(drop),
        O::PutUpstream(upstream, mode) => change(upstream, super::upstream_with(mode)).await,
        O::RemoveUpstream(upstream) => store.remove_upstream(&a, &format!("x{upstream}")).await.map(drop),
        O::Want(upstream, wants) => {
            change(
                upstream,
                UpstreamChange { value_headers: Some(wants.map(headers)), ..UpstreamChange::default() },
            )
            .await
        }
        O::Mark(upstream, mark) => {
            change(upstream, UpstreamChange { allow_all: Some(mark), ..UpstreamChange::default() }).await
        }
        O::Rename(upstream) => {
            let format = Some(format!("Token {{token}} of x{upstream}"));
            change(upstream, UpstreamChange { format, ..UpstreamChange::default() }).await
        }
        O::TokenGrants(token, upstreams) => {
            store.set_token_grants(&a, &format!("t{token}"), &names("x", upstreams), at(0)).await.map(drop)
        }
        O::UpstreamGrants(upstream, tokens, allow_all) => {
            let grants = UpstreamGrants { tokens: names("t", tokens), allow_all };
            store.set_upstream_grants(&a, &format!("x{upstream}"), &grants).await.map(drop)
        }
        O::Put(owner, upstream) => store.put_credential(&credential(key_of(owner, upstream))).await.map(drop),
        O::PutValues(owner, upstream, values) => {
            let (form, header_names) = (CredentialForm::Headers, headers(values));
            let new = NewCredential { form, header_names, ..credential(key_of(owner, upstream)) };
            store.put_credential(&new).await.map(drop)
        }
        O::Remove(owner, upstream) => store.remove_credential(&key_of(owner, upstream)).await.map(drop),
        O::Begin(id, owner, upstream) => {
            store.begin_flow(&flow(&format!("f{id}"), key_of(owner, upstream))).await
        }
        O::Take(id) => store.take_flow(&a, &format!("f{id}"), at(1)).await.map(drop),
        O::Complete(id) => {
            let (owner, upstream) = model.link(id);
            store.complete_flow(&format!("f{id}"), &credential(key_of(owner, upstream))).await.map(drop)
        }
        O::RemoveFlow(id) => store.remove_flow(&a, &format!("f{id}")).await,
        O::SetState(owner, upstream, state) => {
            let key = key_of(owner, upstream);
            raw(format!(
                "update upstream_credentials set state = '{}', orphaned_at = null where tenant = 'a' and \
                 upstream_id = '{}' and holder = '{}' and holder_id = '{}'",
                state.as_str(),
                key.upstream_id,
                key.holder.kind().as_str(),
                key.holder.id()
            ))
            .await
        }
        O::SweepOrphans => {
            let never = regate::types::Timestamp::from_unix_seconds(9_000_000_000);
            store.sweep_credentials(never, at(1)).await.map(drop)
        }
        O::SweepFlows => {
            let long_ago = regate::types::Timestamp::from_unix_seconds(0);
            store.sweep_credentials(long_ago, at(900)).await.map(drop)
        }
        O::RawGrant(token, upstream) => {
            raw(format!(
                "insert into grants (tenant, token_id, upstream_id) select 'a', t.id, u.id from tokens as t \
                 join upstreams as u on u.tenant = t.tenant where t.tenant = 'a' and t.id = 't{token}' \
                 and u.id = 'x{upstream}' on conflict do nothing"
            ))
            .await
        }
        O::RawUngrant(token, upstream) => {
            raw(format!("delete from grants where token_id = 't{token}' and upstream_id = 'x{upstream}'"))
                .await
        }
        O::RawUngrantToken(token) => raw(format!("delete from grants where token_id = 't{token}'")).await,
        O::RawUngrantAll if database.is_postgres() => raw("truncate grants".to_owned()).await,
        O::RawUngrantAll => raw("delete from grants".to_owned()).await,
        O::RawMark(upstream, mark) => {
            let mark = u8::from(mark);
            raw(format!("update upstreams set allow_all = (1 = {mark}) where id = 'x{upstream}'")).await
        }
        O::RawMarkAll(mark) => {
            raw(format!("update upstreams set allow_all = (1 = {})", u8::from(mark))).await
        }
        O::RawRevokeAll => raw("update tokens set revoked_at = '2026-01-01T00:00:00Z'".to_owned()).await,
        O::RawRemoveToken(token) => raw(format!("delete from tokens where id = 't{token}'")).await,
        O::RawRemoveUser(user) => raw(format!("delete from users where id = 'u{user}'")).await,
        O::RawRemoveUpstream(upstream) => {
            raw(format!("delete from upstreams where id = 'x{upstream}'")).await
        }
        O::RawRemoveTenant => {
            raw("delete from tenants where id = 'a'; insert into tenants (id) values ('a')".to_owned()).await
        }
        O::Restart => Ok(()),
    }
}

/// Runs one sequence on a fresh scene; what was done is in the message when something is not as it should be.
async fn run(database: &mut TestDatabase, name: &str, steps: impl Iterator<Item = Operation>) {
    database.execute(&scene_sql()).await.unwrap();
    let mut model = Model::default();
    for operation in SCENE {
        model.apply(*operation).unwrap();
    }
    let mut done = Vec::new();
    for operation in steps {
        done.push(operation);
        let performed = perform(database, &model, operation).await;
        let expected = model.apply(operation);
        let performed = performed.map_err(|error| error.code());
        assert_eq!(performed, expected, "{name}: {done:?}");
        let mut lines = database.texts(LINES).await;
        lines.sort_unstable();
        assert_eq!(lines, model.lines(), "{name}: {done:?}");
    }
}

fn steps_of(seed: u64) -> impl Iterator<Item = Operation> {
    let mut random = StdRng::seed_from_u64(seed);
    let length = random.random_range(4..20);
    std::iter::from_fn(move || Some(random_operation(&mut random))).take(length)
}

/// Somebody who follows, by a store of its own: the other one is closed now and then.
async fn follower(database: &mut TestDatabase) -> Replica {
    let replica = Replica::load(database).await;
    database.store = regate::store::connect(&database.url, ConnectOptions::default()).await.unwrap();
    replica
}

/// The named cases, and then so many seeds from `first` on.
async fn many(mut database: TestDatabase, first: u64, count: u64) {
    let mut replica = follower(&mut database).await;
    for (name, case) in NAMED_CASES {
        match case {
            Case::Seed(seed) => run(&mut database, name, steps_of(*seed)).await,
            Case::Steps(steps) => run(&mut database, name, steps.iter().copied()).await,
        }
    }
    for seed in first..first + count {
        run(&mut database, &format!("seed {seed}"), steps_of(seed)).await;
        // Whoever follows has what is stored.
        if seed % 8 == 0 {
            if let Since::Lost(_) = replica.step().await {
                replica = follower(&mut database).await;
            }
            replica.check(&database).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_operations_on_sqlite() {
    many(TestDatabase::sqlite().await, 1, 550).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_random_operations_on_sqlite() {
    many(TestDatabase::sqlite().await, 100_000, 550).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_operations_on_postgres() {
    many(TestDatabase::postgres().await, 1, 90).await;
}
