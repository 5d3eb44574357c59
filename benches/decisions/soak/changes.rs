//! The rows that change, one after the other and back again, and how it is seen that they decide.
//!
//! Each of those who change (`writers`) has rows of its own, so the model knows what they will be.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{
    Soak,
    client::Client,
    model::{Key, Role},
    question::{Question, What},
    world::{self, FIXED_PROJECTS, FIXED_USERS, PROJECTS, USERS},
};

/// A change of SQL may take so long until it decides, while the database is there.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// Changed rows that are not changed back yet.
const CHANGED: usize = 40;

/// Who changes a row: no two change the same.
#[derive(Clone, Copy)]
pub enum By {
    Sql,
    Api,
    CommandLine,
}

/// A row, and what to make of it.
fn choose(random: &mut StdRng, by: By, kinds: u8) -> (Key, u8) {
    let own = |number: usize| number - number % 3 + by as usize;
    let user = own(random.random_range(FIXED_USERS..USERS - 3));
    let project = world::projects_of(user).nth(random.random_range(0..4)).unwrap_or(0);
    match random.random_range(0..kinds) {
        0 => (Key::Role(user, project), Role::None as u8),
        1 => (Key::Disabled(user), 1),
        2 => (Key::Revoked(user), 1),
        _ => {
            let project = own(random.random_range(FIXED_PROJECTS..PROJECTS - 3));
            (Key::Public(project), u8::from(!world::is_public(project)))
        }
    }
}

/// As it was at the beginning.
pub fn first(key: Key) -> u8 {
    match key {
        Key::Role(user, project) => world::role(user, project) as u8,
        Key::Public(project) => u8::from(world::is_public(project)),
        _ => 0,
    }
}

/// A question whose answer this row decides, whatever else is changed of those that this changer changes.
pub fn question(key: Key) -> Question {
    match key {
        Key::Role(user, project) => Question::Global { user, project, what: What::Read },
        Key::Disabled(user) | Key::Revoked(user) => {
            let project = world::projects_of(user).next().unwrap_or(0);
            Question::Global { user, project, what: What::Read }
        }
        Key::Public(project) => Question::Anonymous { project, what: What::Read },
        Key::Closed => Question::Anonymous { project: 0, what: What::Archive },
    }
}

/// Whether two rows are about one user, so that one change hides the other.
fn same_user(one: Key, other: Key) -> bool {
    let user = |key| match key {
        Key::Role(user, _) | Key::Disabled(user) | Key::Revoked(user) => Some(user),
        _ => None,
    };
    one == other || (user(one).is_some() && user(one) == user(other))
}

/// Changes one after the other: a new one, or one of those before back.
pub struct Turns {
    pub random: StdRng,
    pub changed: Vec<Key>,
}

impl Turns {
    pub fn new(soak: &Soak, by: By) -> Self {
        Self { random: StdRng::seed_from_u64(soak.seed ^ (2_000 + by as u64)), changed: Vec::new() }
    }

    pub fn next(&mut self, by: By, kinds: u8) -> (Key, u8) {
        if self.changed.len() < CHANGED && self.random.random() {
            let (key, value) = choose(&mut self.random, by, kinds);
            if !self.changed.iter().any(|other| same_user(key, *other)) {
                self.changed.push(key);
                return (key, value);
            }
        }
        if self.changed.is_empty() {
            return self.next(by, kinds);
        }
        let place = self.random.random_range(0..self.changed.len());
        let key = self.changed.swap_remove(place);
        (key, first(key))
    }
}

pub fn sql(key: Key, value: u8) -> String {
    let on = value == 1;
    match key {
        Key::Role(user, project) if value == Role::None as u8 => {
            format!("delete from collaborators where project_id = 'p{project}' and user_id = 'u{user}'")
        }
        Key::Role(user, project) => {
            let role = world::role(user, project).name();
            format!(
                "insert into collaborators (project_id, user_id, role) values ('p{project}', 'u{user}', '{role}')"
            )
        }
        Key::Disabled(user) => format!("update users set disabled = {on} where id = 'u{user}'"),
        Key::Revoked(user) => {
            let at = if on { "now()" } else { "null" };
            format!("update tokens set revoked_at = {at} where id = 'g{user}'")
        }
        Key::Public(project) => format!("update projects set public = {on} where id = 'p{project}'"),
        Key::Closed => String::new(),
    }
}

fn look(key: Key) -> String {
    match key {
        Key::Role(user, project) => format!(
            "select coalesce(max(case role when 'viewer' then 1 else 2 end), 0) from collaborators \
             where project_id = 'p{project}' and user_id = 'u{user}'"
        ),
        Key::Disabled(user) => format!("select cast(disabled as int) from users where id = 'u{user}'"),
        Key::Revoked(user) => {
            format!("select cast(revoked_at is not null as int) from tokens where id = 'g{user}'")
        }
        Key::Public(project) => format!("select cast(public as int) from projects where id = 'p{project}'"),
        Key::Closed => "select 0".to_owned(),
    }
}

/// What the row is, as soon as the database says it.
pub async fn truth(soak: &Soak, url: &str, key: Key) -> u8 {
    loop {
        let looked = async {
            let mut connection = PgConnection::connect(url).await?;
            sqlx::query_scalar::<_, i32>(AssertSqlSafe(look(key))).fetch_one(&mut connection).await
        };
        if let Ok(Ok(value)) = tokio::time::timeout(Duration::from_secs(5), looked).await {
            return u8::try_from(value).unwrap_or_default();
        }
        if !soak.goes_on_for(Duration::ZERO) {
            return first(key);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Asks until the last value of the row decides.
pub async fn until_seen(soak: &Soak, client: &mut Client, key: Key, committed: Instant, what: &'static str) {
    let question = question(key);
    loop {
        let asked = Instant::now();
        if let Some(answer) = client.ask(soak, question, None).await
            && answer.reason == expected(soak, key)
        {
            soak.model.settle(key);
            if !soak.outages.overlap("Postgres", committed, answer.answered) {
                soak.tally.delay(what, answer.answered.duration_since(committed));
            }
            return;
        }
        let away = soak.outages.overlap("Postgres", committed, asked);
        if committed.elapsed() > SEEN_WITHIN && !away {
            soak.tally.fail(format!("{key:?} is not seen {SEEN_WITHIN:?} after it was changed"));
            return;
        }
        if !soak.goes_on_for(Duration::ZERO) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What the question about a row is answered by its last value.
pub fn expected(soak: &Soak, key: Key) -> &'static str {
    let value = soak.model.latest(key);
    match (key, value) {
        (Key::Revoked(_), 1) => "token.revoked",
        (Key::Disabled(_), 1) => "user.disabled",
        (Key::Role(..), 0) => "global_token.not_a_collaborator",
        (Key::Public(_) | Key::Closed, 0) => "token.missing",
        (Key::Public(_) | Key::Closed, _) => "anonymous.public_read",
        _ => "global_token.read",
    }
}
