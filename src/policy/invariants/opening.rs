//! The first questions: each route that policies name, asked by each kind of caller.
//!
//! What is next to an allowed question is tried anyway. But a hole for callers who are allowed nothing else has no
//! allowed question next to it, and chance seldom brings the route, the caller and the method together.

use std::collections::BTreeMap;

use rand::{RngExt, rngs::StdRng, seq::SliceRandom};
use serde_json::json;

use super::{
    case::{Case, CaseRole},
    generate::Generator,
    neighbours::filled,
    vocabulary::Vocabulary,
};
use crate::decision::schema::{self, Shape, field};

/// One of so many questions is from here: the most of them go on from what is allowed.
const SHARE: usize = 5;

/// At most a fifth of `tries` questions, the last to be asked first: those of anonymous callers, then the others mixed.
pub(super) fn opening(
    vocabulary: &Vocabulary,
    generator: &Generator<'_>,
    tries: usize,
    random: &mut StdRng,
) -> Vec<Case> {
    let mut callers: Vec<Option<&str>> = vec![None];
    if let Some(Shape::OneOf(kinds)) = field(&schema::INPUT, &["token", "kind"]) {
        callers.extend(kinds.iter().copied().map(Some));
    }
    let (mut anonymous, mut others) = (Vec::new(), Vec::new());
    for route in &vocabulary.routes {
        for caller in &callers {
            for method in ["POST", "GET"] {
                let plan = if caller.is_some() { &mut others } else { &mut anonymous };
                plan.push((route, *caller, method));
            }
        }
    }
    // Where there are too many, chance says which are left out.
    anonymous.shuffle(random);
    others.shuffle(random);
    anonymous.extend(others);
    anonymous.truncate(tries / SHARE);
    let mut cases: Vec<Case> = Vec::new();
    for (route, caller, method) in anonymous {
        let mut case = generator.case(random);
        case.headers.clear();
        case.query.clear();
        (case.upstream, case.mcp, case.context) = (None, None, json!({}));
        method.clone_into(&mut case.method);
        case.token = caller.map(|kind| generator.token_of(kind.to_owned(), &case, random));
        let project = own_project(&case);
        case.path = filled(route, project.as_deref());
        if random.random_bool(0.2) {
            case.path.push("x".to_owned());
        }
        cases.push(case);
    }
    cases.reverse();
    cases
}

/// A project that the caller has something to do with, or any.
fn own_project(case: &Case) -> Option<String> {
    let token = case.token.as_ref();
    let of_token = token.and_then(|token| token.project_id.clone());
    let user = token.and_then(|token| token.user_id.as_ref());
    let is_member =
        |members: &BTreeMap<String, CaseRole>| user.is_some_and(|user| members.contains_key(user));
    let of_user = case.world.collaborators.iter().find(|(_, members)| is_member(members));
    of_token
        .or_else(|| of_user.map(|(id, _)| id.clone()))
        .or_else(|| case.world.projects.keys().next().cloned())
}
