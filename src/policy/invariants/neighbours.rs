//! Questions that are one step away from another: what the search tries one after the other, where chance alone
//! would take too long.

use std::collections::BTreeMap;

use super::{
    case::{Case, CaseRole},
    messages,
    search::LONGEST,
    vocabulary::Vocabulary,
};
use crate::decision::schema::{self, Shape};

/// The methods that are tried.
pub(super) const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY"];
/// More words are left to chance.
const WORDS: usize = 60;

/// The question made plainer, and by a caller with fewer rights, the most important right first. Whoever is allowed with fewer rights than
/// anybody should be has found a hole.
pub(super) fn weaker(case: &Case, data_too: bool) -> Vec<Case> {
    let mut weaker = Vec::new();
    let mut step = |change: &dyn Fn(&mut Case)| {
        let mut changed = case.clone();
        change(&mut changed);
        if changed != *case && changed.is_possible() {
            weaker.push(changed);
        }
    };
    // The plain question first: what is special about it might keep it from the rule that has the hole.
    step(&|case| case.headers.clear());
    step(&|case| case.method = "GET".to_owned());
    step(&|case| case.upstream = None);
    step(&|case| case.mcp = None);
    if case.token.is_some() {
        step(&|case| case.token.iter_mut().for_each(|token| token.scope_push = false));
        step(&|case| case.token.iter_mut().for_each(|token| token.allow_trigger = false));
        step(&|case| case.token.iter_mut().for_each(|token| token.scope_pull = false));
        step(&|case| case.token.iter_mut().for_each(|token| token.project_id = None));
        step(&|case| {
            for token in case.token.iter_mut().filter(|token| token.kind == "mcp") {
                token.tools = Some(Vec::new());
            }
        });
    }
    if data_too {
        step(&|case| case.world.collaborators.clear());
        step(&|case| {
            for member in case.world.collaborators.values_mut().flat_map(BTreeMap::values_mut) {
                *member = CaseRole { role: "viewer".to_owned() };
            }
        });
        step(&|case| case.world.projects.values_mut().for_each(|project| project.public = false));
        step(&|case| {
            for user in case.world.users.values_mut().filter(|user| user.role == "admin") {
                user.role = "user".to_owned();
            }
        });
    }
    step(&|case| case.token.iter_mut().for_each(|token| token.user_id = None));
    weaker
}

/// The questions that differ in one thing that policies look at.
pub(super) fn neighbours(case: &Case, vocabulary: &Vocabulary, data_too: bool) -> Vec<Case> {
    let mut found = Vec::new();
    let mut step = |change: &dyn Fn(&mut Case)| {
        let mut changed = case.clone();
        change(&mut changed);
        if changed != *case && changed.is_possible() {
            found.push(changed);
        }
    };
    let project = case.path.iter().find(|segment| case.world.projects.contains_key(*segment));
    for route in &vocabulary.routes {
        step(&|case| case.path = filled(route, project.map(String::as_str)));
    }
    let mut words: Vec<&String> = vocabulary.named.iter().collect();
    words.truncate(WORDS);
    for word in &words {
        step(&|case| {
            if let Some(last) = case.path.last_mut() {
                last.clone_from(word);
            }
        });
        if case.path.len() < LONGEST {
            step(&|case| case.path.push((*word).clone()));
        }
        // The part of a project that the path is about.
        if let Some(place) = project.and_then(|id| case.path.iter().position(|segment| segment == id)) {
            step(&|case| {
                if let Some(segment) = case.path.get_mut(place + 1) {
                    segment.clone_from(word);
                }
            });
        }
    }
    for method in METHODS {
        step(&|case| case.method = method.to_owned());
    }
    for name in &vocabulary.headers {
        step(&|case| drop(case.headers.insert(name.clone(), "DELETE".to_owned())));
    }
    for message in messages::sorts() {
        step(&|case| case.mcp = Some(message.clone()));
        // By a token that lists the tool.
        step(&|case| {
            case.mcp = Some(message.clone());
            for token in case.token.iter_mut().filter(|token| token.kind == "mcp") {
                token.tools = Some(vec![messages::TOOL.to_owned()]);
            }
        });
    }
    callers(case, project, &mut step);
    if data_too {
        step(&|case| case.world.users.values_mut().for_each(|user| user.disabled = true));
        let named = vocabulary.projects.iter().take(WORDS);
        for other in case.world.projects.keys().chain(named).filter(|other| Some(*other) != project) {
            step(&|case| rename_project(case, project.map(String::as_str), other));
        }
    }
    found
}

/// Other callers: other kinds of token, other lists of projects, none.
fn callers(case: &Case, project: Option<&String>, step: &mut impl FnMut(&dyn Fn(&mut Case))) {
    step(&|case| case.token = None);
    let Some(token) = &case.token else { return };
    if let Some(Shape::OneOf(kinds)) = schema::field(&schema::INPUT, &["token", "kind"]) {
        for kind in kinds {
            step(&|case| {
                if let Some(token) = &mut case.token {
                    token.kind = (*kind).to_owned();
                    token.projects = token.projects.take().filter(|_| *kind != "session");
                    token.tools = token.tools.take().filter(|_| *kind == "mcp");
                }
            });
        }
    }
    if token.kind == "session" {
        return;
    }
    step(&|case| case.token.iter_mut().for_each(|token| token.projects = Some(BTreeMap::new())));
    for expiry in [None, Some(case.now - 1), Some(case.now), Some(case.now + 1)] {
        let Some(project) = project else { break };
        step(&|case| {
            let listed = Some([(project.clone(), expiry)].into());
            case.token.iter_mut().for_each(|token| token.projects.clone_from(&listed));
        });
    }
}

/// A route with its holes filled: the first with the project, since that is what most routes have there.
pub(super) fn filled(route: &[Option<String>], project: Option<&str>) -> Vec<String> {
    let mut project = project;
    route
        .iter()
        .map(|part| match part {
            Some(word) => word.clone(),
            None => project.take().unwrap_or("x").to_owned(),
        })
        .collect()
}

/// The same question about another project, whose members are those of the first.
pub(super) fn rename_project(case: &mut Case, from: Option<&str>, to: &str) {
    let Some(from) = from else { return };
    for segment in case.path.iter_mut().filter(|segment| *segment == from) {
        to.clone_into(segment);
    }
    case.world.rename_project(from, to);
    if let Some(token) = &mut case.token {
        if token.project_id.as_deref() == Some(from) {
            token.project_id = Some(to.to_owned());
        }
        if let Some(expiry) = token.projects.as_mut().and_then(|listed| listed.remove(from)) {
            token.projects.get_or_insert_default().insert(to.to_owned(), expiry);
        }
    }
}
