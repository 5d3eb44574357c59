//! Makes a counterexample as small as it can be: what is not needed is taken away, bit by bit, as long as it
//! remains one.

use serde_json::json;

use super::{case::Case, generate::Generator};

/// The smallest case that can be had from `case` by single steps, each of which is `still` a counterexample.
pub(super) fn shrink(case: &Case, generator: &Generator<'_>, still: impl Fn(&Case) -> bool) -> Case {
    let mut smallest = case.clone();
    while let Some(smaller) = steps(&smallest, generator.makes_data())
        .into_iter()
        .find(|step| *step != smallest && step.is_possible() && still(step))
    {
        smallest = smaller;
    }
    smallest
}

/// Every case that is a little smaller: the large steps first.
fn steps(case: &Case, data_too: bool) -> Vec<Case> {
    let mut steps = Vec::new();
    let mut step = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        steps.push(smaller);
    };
    step(&|case| case.token = None);
    step(&|case| case.mcp = None);
    step(&|case| case.upstream = None);
    step(&|case| case.gateway = None);
    step(&|case| case.host = None);
    step(&|case| case.context = json!({}));
    step(&|case| case.query.clear());
    step(&|case| case.headers.clear());
    for name in case.headers.keys() {
        step(&|case| drop(case.headers.remove(name)));
    }
    for place in 0..case.path.len() {
        step(&|case| drop(case.path.remove(place)));
    }
    for place in 0..case.path.len() {
        // A word that means nothing, where any word would do.
        if case.path[place] != "x" {
            step(&|case| case.path[place] = "x".to_owned());
        }
    }
    if case.method != "GET" {
        step(&|case| case.method = "GET".to_owned());
        if case.method != "POST" {
            step(&|case| case.method = "POST".to_owned());
        }
    }
    if let Some(token) = &case.token {
        type Change = fn(&mut super::CaseToken);
        let changes: [Change; 8] = [
            |token| token.user_id = None,
            |token| token.project_id = None,
            |token| token.projects = None,
            |token| token.tools = None,
            |token| token.expires_at = None,
            |token| token.scope_pull = false,
            |token| token.scope_push = false,
            |token| token.allow_trigger = false,
        ];
        for change in changes {
            step(&|case| case.token.iter_mut().for_each(change));
        }
        for listed in token.projects.iter().flat_map(|listed| listed.keys()) {
            step(&|case| {
                let listed_projects = case.token.as_mut().and_then(|token| token.projects.as_mut());
                if let Some(projects) = listed_projects {
                    projects.remove(listed);
                }
            });
        }
    }
    if data_too {
        steps.extend(steps_of_data(case));
    }
    steps
}

fn steps_of_data(case: &Case) -> Vec<Case> {
    let mut steps = Vec::new();
    let mut step = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        steps.push(smaller);
    };
    for id in case.world.upstreams.keys() {
        step(&|case| drop(case.world.upstreams.remove(id)));
    }
    for project in case.world.collaborators.keys() {
        step(&|case| drop(case.world.collaborators.remove(project)));
    }
    for (project, members) in &case.world.collaborators {
        for user in members.keys() {
            step(&|case| {
                if let Some(members) = case.world.collaborators.get_mut(project) {
                    members.remove(user);
                }
            });
        }
        for (user, member) in members {
            if member.role != "viewer" {
                step(&|case| {
                    let members = case.world.collaborators.get_mut(project);
                    if let Some(member) = members.and_then(|members| members.get_mut(user)) {
                        member.role = "viewer".to_owned();
                    }
                });
            }
        }
    }
    for id in case.world.projects.keys() {
        step(&|case| drop(case.world.projects.remove(id)));
    }
    for (id, project) in &case.world.projects {
        if project.public {
            step(&|case| {
                case.world.projects.get_mut(id).into_iter().for_each(|project| project.public = false)
            });
        }
    }
    for id in case.world.users.keys() {
        step(&|case| drop(case.world.users.remove(id)));
    }
    for (id, user) in &case.world.users {
        if user.disabled {
            step(&|case| case.world.users.get_mut(id).into_iter().for_each(|user| user.disabled = false));
        }
        if user.role != "user" {
            step(&|case| {
                case.world.users.get_mut(id).into_iter().for_each(|user| user.role = "user".to_owned());
            });
        }
    }
    steps
}
