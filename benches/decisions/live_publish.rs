//! What it costs to bring the data one step on, while others decide from it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use regate::{
    api::DecisionPoint,
    auth,
    decision::{
        Update,
        facts::{Change, Collaborator, Fact, FactKey, ProjectRole, Token, User, UserRole},
    },
    policy::{Live, Source},
    types::{Clock, DataRevision, SystemClock, TenantId, TokenKind},
};

use crate::{
    figures::quantile,
    live_server::{Asked, point},
    world::{self, PROJECT_SIZE, ROWS},
};

/// Steps of each kind.
const STEPS: usize = 1_000;
/// Between two steps, unless they come in a burst.
const PAUSE: Duration = Duration::from_millis(1);
/// Microseconds. A step that takes longer has copied a large document, or lost its core.
const LONG: f64 = 2_000.0;

/// What is changed, how its steps are made, and the pause between two.
type Kind = (&'static str, fn(usize) -> Change, Duration);

/// What one kind of change gave.
pub struct Published {
    pub what: String,
    pub figures: String,
}

/// Publishes steps of one change each, for every kind of row, while a thread decides all the time.
pub fn measure(live: &Live, point: &DecisionPoint) -> Vec<Published> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let question = Asked::read_of(ROWS / 2);
            while !over.load(Ordering::Relaxed) {
                question.ask(point);
            }
        });
        let kinds: [Kind; 7] = [
            ("a token", token, PAUSE),
            ("a collaborator", collaborator, PAUSE),
            ("a removed collaborator", removed_collaborator, PAUSE),
            ("a user", user, PAUSE),
            ("users in a burst", user, Duration::ZERO),
            ("a new user", new_user, PAUSE),
            ("new users in a burst", |number| new_user(number + ROWS), Duration::ZERO),
        ];
        let published = kinds.map(|(name, change, pause)| publish(live, name, change, pause));
        over.store(true, Ordering::Relaxed);
        published.into()
    })
}

fn publish(live: &Live, name: &str, change: fn(usize) -> Change, pause: Duration) -> Published {
    let mut times: Vec<f64> = (0..STEPS)
        .map(|step| {
            thread::sleep(pause);
            let change = change(step * 331 % ROWS);
            let revision = DataRevision(live.basis().snapshot().revision().0 + 1);
            let begun = Instant::now();
            live.publish(Update::Rows([change].into(), revision));
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    // The first steps are the first of their kind in each of the two copies, which still share it.
    let (first, long) = (times[0].max(times[1]), times[2..].iter().filter(|&&time| time > LONG).count());
    times.drain(..2);
    times.sort_by(f64::total_cmp);
    let [p50, p99] = [0.5, 0.99].map(|q| quantile(&times, q));
    Published {
        what: format!("publishing {name}, µs"),
        figures: format!("p50 {p50:.0}, p99 {p99:.0}, first {first:.0}, {long} > 2 ms"),
    }
}

/// Prints the figures over a million rows that no database was asked for.
pub fn run() {
    let live = Arc::new(Live::new(world::bundle(2), world::snapshot(ROWS)));
    live.prepare();
    live.confirm(Source::Tables, SystemClock.reading());
    let point = point(Arc::clone(&live), Duration::MAX);
    for published in measure(&live, &point) {
        println!("{:<64} {}", published.what, published.figures);
    }
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn token(number: usize) -> Change {
    Change::Put(Fact::Token(Token {
        id: format!("global-{number}"),
        tenant: Some(tenant()),
        kind: TokenKind::Global,
        sha256: auth::hash(&format!("global-token-{number}")),
        user_id: Some(format!("user-{number}")),
        project_id: None,
        scope_pull: true,
        scope_push: false,
        allow_trigger: false,
        projects: None,
        tools: None,
        expires_at: None,
        revoked: true,
    }))
}

fn collaborator(number: usize) -> Change {
    Change::Put(Fact::Collaborator(Collaborator {
        tenant: tenant(),
        project_id: format!("project-{}", number / PROJECT_SIZE),
        user_id: format!("user-{number}"),
        role: ProjectRole::Viewer,
    }))
}

fn removed_collaborator(number: usize) -> Change {
    Change::Removed(FactKey::Collaborator {
        tenant: tenant(),
        project_id: format!("project-{}", number / PROJECT_SIZE),
        user_id: format!("user-{number}"),
    })
}

fn user(number: usize) -> Change {
    Change::Put(Fact::User(User {
        tenant: tenant(),
        id: format!("user-{number}"),
        role: UserRole::Viewer,
        disabled: false,
    }))
}

fn new_user(number: usize) -> Change {
    Change::Put(Fact::User(User {
        tenant: tenant(),
        id: format!("new-user-{number}"),
        role: UserRole::User,
        disabled: false,
    }))
}
