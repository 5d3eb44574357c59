//! Makes up the rows of a tenant.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use super::{
    case::{CaseProject, CaseRole, CaseUpstream, CaseUser, World},
    generate::one_of,
};
use crate::decision::schema::{self, Shape, field};

const USERS: [&str; 4] = ["u1", "u2", "u3", "u4"];
/// The ids of made-up projects.
pub(super) const PROJECTS: [&str; 3] = ["p1", "p2", "p3"];
const UPSTREAMS: [&str; 2] = ["s1", "s2"];

/// Some rows: few, so that they often meet.
pub(super) fn world(random: &mut StdRng) -> World {
    let document = |name: &str| schema::DOCUMENTS.iter().find(|(known, _)| *known == name).map(|(_, s)| *s);
    let mut world = World::default();
    for id in USERS {
        let role = one_of(document("users").and_then(|shape| field(&shape, &["role"])), random);
        world.users.insert(id.to_owned(), CaseUser { role, disabled: random.random_bool(0.1) });
    }
    for id in PROJECTS {
        let name = id.to_owned();
        world.projects.insert(id.to_owned(), CaseProject { name, public: random.random_bool(0.3) });
        for user in USERS {
            if random.random_bool(0.35) {
                let role =
                    one_of(document("collaborators").and_then(|shape| field(&shape, &["role"])), random);
                world
                    .collaborators
                    .entry(id.to_owned())
                    .or_default()
                    .insert(user.to_owned(), CaseRole { role });
            }
        }
    }
    for id in UPSTREAMS {
        let credential =
            one_of(document("upstreams").and_then(|shape| field(&shape, &["credential"])), random);
        let allow_all = random.random_bool(0.5);
        world.upstreams.insert(id.to_owned(), CaseUpstream { allow_all, credential });
    }
    world
}

/// Gives, takes or changes one membership.
pub(super) fn change_role(world: &mut World, random: &mut StdRng) {
    let projects: Vec<String> = world.projects.keys().cloned().collect();
    let users: Vec<String> = world.users.keys().cloned().collect();
    let (Some(project), Some(user)) = (projects.choose(random), users.choose(random)) else { return };
    let members = world.collaborators.entry(project.clone()).or_default();
    if members.remove(user).is_none() || random.random_bool(0.5) {
        let Shape::OneOf(roles) = schema::COLLABORATOR_ROLES else { return };
        let role = (*roles.choose(random).unwrap_or(&"viewer")).to_owned();
        members.insert(user.clone(), CaseRole { role });
    }
}
