//! What bringing the data one step on costs, by how much data there is.

use std::time::Instant;

use regate::{
    decision::{
        Update,
        facts::{Change, Collaborator, Fact, ProjectRole},
    },
    policy::Live,
    types::{DataRevision, TenantId, TokenKind},
};

use crate::world;

/// A collaborator's role, changed there and back.
pub fn collaborator(number: usize, rows: usize) -> Change {
    let user = number / 2 * 331 % rows;
    Change::Put(Fact::Collaborator(Collaborator {
        tenant: TenantId::default_tenant(),
        project_id: format!("project-{}", user / world::PROJECT_SIZE),
        user_id: format!("user-{user}"),
        role: if number.is_multiple_of(2) { ProjectRole::Viewer } else { ProjectRole::Developer },
    }))
}

/// A token, revoked and given back.
pub fn token(number: usize, rows: usize) -> Change {
    let mut token = world::token(TokenKind::Global, number / 2 * 331 % rows);
    token.revoked = number.is_multiple_of(2);
    Change::Put(Fact::Token(token))
}

/// Microseconds of a step of one change, the median of so many.
pub fn steps(live: &Live, count: usize, rows: usize, change: fn(usize, usize) -> Change) -> f64 {
    let mut times: Vec<f64> = (0..count)
        .map(|number| {
            let change = change(number, rows);
            let revision = DataRevision(live.basis().snapshot().revision().0 + 1);
            let begun = Instant::now();
            live.publish(Update::Rows([change].into(), revision));
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
