//! What the store says of a token's fields, in the words of the flags.

use super::confinement::Confinement;
use crate::{cli::exit::CommandError, store::InvalidField, types::check_id};

/// Wrong usage: the flag, and what is wrong with its value.
pub(super) fn in_words_of_flags(invalid: &InvalidField, given: &Confinement) -> CommandError {
    let (field, place) = match invalid.field.split_once('[') {
        Some((field, place)) => (field, place.trim_end_matches(']').parse::<usize>().ok()),
        None => (invalid.field.as_ref(), None),
    };
    let flag = match field {
        // Leaving the tenant out means the default one: only this flag leads to a token of all.
        "tenant" => "--all-tenants",
        "name" => "--name",
        "user_id" => "--user",
        "project_id" => "--project",
        "scope_pull" => "--scope-pull",
        "scope_push" => "--scope-push",
        "projects" => "--only-project",
        "tools" => "--tool",
        "expires_in_days" => "--expires-in-days",
        other => other,
    };
    let problem = invalid
        .problem
        .replace("scope_pull", "--scope-pull")
        .replace("scope_push", "--scope-push")
        .replace("give a list of projects", "give --only-project");
    let named = |place: usize| match field {
        "projects" => given.only_projects.get(place).map(|(project, _)| project),
        _ => given.tools.get(place),
    };
    CommandError::Usage(match place {
        // An empty name, or none that could be shown, has a place all the same.
        Some(place) => match named(place).filter(|name| check_id(name).is_ok()) {
            Some(name) => format!("{flag} {name:?}: {problem}"),
            None => format!("{flag} number {}: {problem}", place + 1),
        },
        None if problem.starts_with(flag) => problem,
        None => format!("{flag}: {problem}"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Confinement, in_words_of_flags};
    use crate::{
        store::{TokenLimits, TokenSpecification, import::ProjectList},
        types::{TenantId, Timestamp, TokenHash, TokenKind},
    };

    fn refused(change: impl FnOnce(&mut TokenSpecification)) -> String {
        let mut specification = TokenSpecification {
            kind: TokenKind::Mcp,
            name: "n".to_owned(),
            tenant: Some(TenantId::default_tenant()),
            user_id: None,
            project_id: None,
            scope_pull: false,
            scope_push: false,
            projects: None,
            tools: None,
            expires_in_days: None,
        };
        change(&mut specification);
        let (limits, now) = (TokenLimits::default(), Timestamp::from_unix_seconds(1_000));
        let given = Confinement {
            only_projects: specification.projects.clone().map(|list| list.0).unwrap_or_default(),
            no_projects: false,
            tools: specification.tools.clone().unwrap_or_default(),
            no_tools: false,
        };
        let made = specification.into_new_token(
            "t1".to_owned(),
            TokenHash([0; 32]),
            "rgt_mcp_0000".to_owned(),
            limits,
            now,
        );
        in_words_of_flags(&made.unwrap_err(), &given).to_string()
    }

    #[test]
    fn every_refusal_names_a_flag_and_no_field() {
        let texts = [
            refused(|s| s.tenant = None),
            refused(|s| s.name = String::new()),
            refused(|s| s.user_id = Some(String::new())),
            refused(|s| s.project_id = Some("p1".to_owned())),
            refused(|s| (s.kind, s.project_id) = (TokenKind::Project, Some("p1".to_owned()))),
            refused(|s| s.kind = TokenKind::Global),
            refused(|s| s.kind = TokenKind::Project),
            refused(|s| (s.kind, s.scope_pull) = (TokenKind::Admin, true)),
            refused(|s| (s.kind, s.scope_push) = (TokenKind::Gateway, true)),
            refused(|s| (s.kind, s.projects) = (TokenKind::Gateway, Some(ProjectList::default()))),
            refused(|s| (s.kind, s.tools) = (TokenKind::Admin, Some(Vec::new()))),
            refused(|s| s.tools = Some(vec!["a".to_owned(), String::new()])),
            refused(|s| s.projects = Some(ProjectList(vec![("p1".to_owned(), Some("soon".to_owned()))]))),
            refused(|s| s.expires_in_days = Some(366)),
        ];
        for text in &texts {
            assert!(text.starts_with("--") && !text.contains('_') && !text.contains('['), "{text}");
        }
        assert!(texts[12].starts_with("--only-project \"p1\": the expiry must"), "{}", texts[12]);
        assert!(texts[11].starts_with("--tool number 2: "), "{}", texts[11]);
        assert!(texts[3].ends_with("to confine a token of kind mcp give --only-project"), "{}", texts[3]);
    }
}
