//! The first questions: each route that policies name, asked by each kind of caller.
//!
//! What is next to an allowed question is tried anyway. But a hole for callers who are allowed nothing else has no
//! allowed question next to it, and chance seldom brings the route, the caller and the method together. So callers
//! have every right here: the search takes them away again.

use rand::{rngs::StdRng, seq::SliceRandom};
use serde_json::json;

use super::{
    case::{Case, CaseRole},
    generate::Generator,
    messages::{TOOL, sorts},
    neighbours::filled,
    vocabulary::Vocabulary,
};
use crate::decision::schema::{self, Shape, field};

/// One of so many questions is from here: most go on from what is allowed.
const SHARE: usize = 5;

/// What stands behind a route.
#[derive(Clone, Copy)]
enum Tail {
    /// It ends where the policy's words end.
    Nothing,
    /// As in `/projects/p1/builds`: the caller's project, and something of it.
    InProject,
    /// Any word.
    Word,
}

/// At most a fifth of `tries` questions, the last to be asked first: those of anonymous callers, then the others
/// mixed.
pub(super) fn opening(
    vocabulary: &Vocabulary,
    generator: &Generator<'_>,
    tries: usize,
    random: &mut StdRng,
) -> Vec<Case> {
    let mut kinds: Vec<Option<&str>> = vec![None];
    if let Some(Shape::OneOf(known)) = field(&schema::INPUT, &["token", "kind"]) {
        kinds.extend(known.iter().copied().map(Some));
    }
    let (mut anonymous, mut others) = (Vec::new(), Vec::new());
    for route in &vocabulary.routes {
        for kind in &kinds {
            for method in ["POST", "GET"] {
                for tail in [Tail::Nothing, Tail::InProject, Tail::Word] {
                    let planned = if kind.is_some() { &mut others } else { &mut anonymous };
                    planned.push((route, *kind, method, tail));
                }
            }
        }
    }
    // Where there are too many, chance says which are left out.
    anonymous.shuffle(random);
    anonymous.truncate(tries / SHARE / 2);
    others.shuffle(random);
    anonymous.extend(others);
    anonymous.truncate(tries / SHARE);
    let asked = anonymous.into_iter().rev();
    let mut asked: Vec<Case> = asked
        .map(|(route, kind, method, tail)| question(generator, route, kind, method, tail, random))
        .collect();
    asked.extend(messages(vocabulary, generator, tries / SHARE / SHARE, random));
    asked
}

/// At most so many questions with a message, of tokens that are limited to a tool.
fn messages(
    vocabulary: &Vocabulary,
    generator: &Generator<'_>,
    most: usize,
    random: &mut StdRng,
) -> Vec<Case> {
    let mut routes: Vec<_> = vocabulary.routes.iter().collect();
    routes.shuffle(random);
    // Messages are sent to short paths.
    routes.sort_by_key(|route| route.len());
    let mut asked = Vec::new();
    for route in routes {
        for message in sorts() {
            let mut case = question(generator, route, Some("mcp"), "POST", Tail::Nothing, random);
            case.mcp = Some(message);
            case.token.iter_mut().for_each(|token| token.tools = Some(vec![TOOL.to_owned()]));
            asked.push(case);
        }
    }
    asked.truncate(most);
    asked
}

fn question(
    generator: &Generator<'_>,
    route: &[Option<String>],
    kind: Option<&str>,
    method: &str,
    tail: Tail,
    random: &mut StdRng,
) -> Case {
    let mut case = generator.case(random);
    case.headers.clear();
    case.query.clear();
    (case.upstream, case.mcp, case.context) = (None, None, json!({}));
    method.clone_into(&mut case.method);
    case.token = kind.map(|kind| generator.token_of(kind.to_owned(), &case, random));
    let project = own_project(&case);
    give_rights(&mut case, project.as_deref(), generator.makes_data());
    case.path = filled(route, project.as_deref());
    match tail {
        Tail::Nothing => {}
        Tail::InProject => case.path.extend(project.into_iter().chain(["x".to_owned()])),
        Tail::Word => case.path.push("x".to_owned()),
    }
    case
}

/// A project that the caller has something to do with, or any.
fn own_project(case: &Case) -> Option<String> {
    let token = case.token.as_ref();
    let of_token = token.and_then(|token| token.project_id.clone());
    let user = token.and_then(|token| token.user_id.as_ref());
    let of_user = case
        .world
        .collaborators
        .iter()
        .find(|(_, members)| user.is_some_and(|user| members.contains_key(user)));
    of_token
        .or_else(|| of_user.map(|(id, _)| id.clone()))
        .or_else(|| case.world.projects.keys().next().cloned())
}

/// Lets the token do everything, and makes its user, who is not disabled, the owner of the project.
fn give_rights(case: &mut Case, project: Option<&str>, data_too: bool) {
    let Some(token) = &mut case.token else { return };
    (token.scope_pull, token.scope_push, token.allow_trigger) = (true, true, true);
    (token.projects, token.tools) = (None, None);
    if let (Some(user), Some(project), true) = (&token.user_id, project, data_too) {
        let members = case.world.collaborators.entry(project.to_owned()).or_default();
        members.insert(user.clone(), CaseRole { role: "owner".to_owned() });
        case.world.users.entry(user.clone()).and_modify(|row| row.disabled = false);
    }
}
