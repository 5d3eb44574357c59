//! What may be shown of a token: never the secret, never the hash.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    cli::{printable::as_name, rows::Shown},
    store::TokenRow,
    types::{TenantId, Timestamp},
};

/// A token as it stands at a moment.
pub(super) struct ShownToken {
    pub(super) row: TokenRow,
    pub(super) now: Timestamp,
}

impl ShownToken {
    fn tenant(&self) -> String {
        self.row.tenant.as_ref().map_or("(all)".to_owned(), ToString::to_string)
    }

    fn state(&self) -> String {
        self.row.state(self.now).as_str().to_owned()
    }

    /// What it may, in the words of its columns.
    fn rights(&self) -> String {
        let TokenRow { scope_pull, scope_push, allow_trigger, .. } = self.row;
        let rights = [("pull", scope_pull), ("push", scope_push), ("trigger", allow_trigger)];
        let given: Vec<&str> = rights.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        given.join("+")
    }

    /// That it is limited to lists, and how long they are.
    fn limits(&self) -> String {
        let TokenRow { projects, tools, .. } = &self.row;
        let lengths =
            [(projects.as_ref().map(BTreeMap::len), "project"), (tools.as_ref().map(Vec::len), "tool")];
        let texts = lengths.into_iter().filter_map(|(length, noun)| {
            Some(match length? {
                0 => format!("no {noun}"),
                1 => format!("1 {noun}"),
                length => format!("{length} {noun}s"),
            })
        });
        texts.collect::<Vec<_>>().join(", ")
    }

    fn projects(&self) -> String {
        let Some(projects) = &self.row.projects else { return "not limited to a list".to_owned() };
        let texts = projects.iter().map(|(project, expiry)| match expiry {
            Some(seconds) => format!("{} until {}", as_name(project), Timestamp::from_unix_seconds(*seconds)),
            None => as_name(project).into_owned(),
        });
        listed(texts.collect())
    }

    fn tools(&self) -> String {
        let Some(tools) = &self.row.tools else { return "not limited to a list".to_owned() };
        listed(tools.iter().map(|tool| as_name(tool).into_owned()).collect())
    }
}

/// An empty list allows nothing, and is not to be mistaken for none.
fn listed(entries: Vec<String>) -> String {
    if entries.is_empty() { "none (an empty list)".to_owned() } else { entries.join(", ") }
}

/// To the second, which is enough for a list.
fn time(moment: Option<Timestamp>) -> String {
    let text = moment.map(|moment| moment.to_string()).unwrap_or_default();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn name(id: &Option<String>) -> String {
    id.as_deref().map(|id| as_name(id).into_owned()).unwrap_or_default()
}

impl Shown for ShownToken {
    const NOUN: &'static str = "token";
    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "KIND",
        "NAME",
        "PREFIX",
        "TENANT",
        "USER",
        "PROJECT",
        "RIGHTS",
        "ONLY",
        "STATE",
        "EXPIRES",
        "LAST USED",
    ];

    fn title(&self) -> String {
        self.row.id.clone()
    }

    fn cursor(&self) -> &str {
        &self.row.id
    }

    fn cells(&self) -> Vec<String> {
        let TokenRow { id, kind, prefix, user_id, project_id, expires_at, last_used_at, .. } = &self.row;
        vec![
            id.clone(),
            kind.to_string(),
            self.row.name.clone(),
            prefix.clone().unwrap_or_default(),
            self.tenant(),
            name(user_id),
            name(project_id),
            self.rights(),
            self.limits(),
            self.state(),
            time(*expires_at),
            time(*last_used_at),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        let row = &self.row;
        let projects = row.projects.as_ref().map(|projects| {
            let entry = |(project, expiry): (&String, &Option<i64>)| {
                (project.clone(), json!(text(expiry.map(Timestamp::from_unix_seconds))))
            };
            projects.iter().map(entry).collect::<Map<_, _>>()
        });
        vec![
            ("id", json!(row.id)),
            ("kind", json!(row.kind)),
            ("name", json!(row.name)),
            ("state", json!(self.state())),
            ("tenant", json!(row.tenant.as_ref().map(TenantId::as_str))),
            ("prefix", json!(row.prefix)),
            ("user_id", json!(row.user_id)),
            ("project_id", json!(row.project_id)),
            ("scope_pull", json!(row.scope_pull)),
            ("scope_push", json!(row.scope_push)),
            ("allow_trigger", json!(row.allow_trigger)),
            ("projects", json!(projects)),
            ("tools", json!(row.tools)),
            ("created_at", json!(text(Some(row.created_at)))),
            ("expires_at", json!(text(row.expires_at))),
            ("revoked_at", json!(text(row.revoked_at))),
            ("last_used_at", json!(text(row.last_used_at))),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let row = &self.row;
        let or = |moment: Option<Timestamp>, none: &str| {
            moment.map_or_else(|| none.to_owned(), |moment| moment.to_string())
        };
        let in_full = ["ONLY", "EXPIRES", "LAST USED"];
        let cells = Self::COLUMNS.iter().copied().zip(self.cells());
        let mut details: Vec<(&'static str, String)> =
            cells.filter(|(column, _)| !in_full.contains(column)).collect();
        details.extend([
            ("ONLY PROJECTS", self.projects()),
            ("ONLY TOOLS", self.tools()),
            ("CREATED", row.created_at.to_string()),
            ("EXPIRES", or(row.expires_at, "never")),
            ("REVOKED", or(row.revoked_at, "no")),
            ("LAST USED", or(row.last_used_at, "never, as far as is known")),
        ]);
        details
    }
}
