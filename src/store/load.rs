//! From rows to facts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    StoreError,
    database::{Row, Transaction},
    dialect::Dialect,
    schema::{Column, key},
    time,
    upstreams::sealed,
};
use crate::{
    decision::facts::{
        Collaborator, CredentialMode, CredentialState, Fact, Grant, Project, ProjectRole, Token, Upstream,
        UpstreamCredential, User, UserRole,
    },
    types::{Holder, HolderKind, TenantId, Timestamp, TokenHash, TokenKind},
};

/// What a user is read from, of a table called `t`.
pub(super) const USER_COLUMNS: &str = "t.tenant, t.id, t.role, t.disabled";
/// What a project is read from, of a table called `t`.
pub(super) const PROJECT_COLUMNS: &str = "t.tenant, t.id, t.name, t.public";
/// What a collaborator is read from, of a table called `t`.
pub(super) const COLLABORATOR_COLUMNS: &str = "t.tenant, t.project_id, t.user_id, t.role";

/// A table whose rows are facts.
pub(super) struct FactTable {
    /// Its name.
    pub(super) name: &'static str,
    /// What [`read`] reads, of a table called `t`.
    pub(super) columns: &'static str,
    /// What a row is noted by in the log of changes.
    pub(super) key: &'static [Column],
    read: fn(&dyn Row, &mut Tenants) -> Result<Fact, Unreadable>,
}

/// Written so that a referred-to row comes before the one that refers to it.
pub(super) const FACTS: [FactTable; 8] = [
    FactTable {
        name: "tenants",
        columns: "t.id",
        key: &[key("id")],
        read: |row, tenants| Ok(Fact::Tenant(tenants.read(row, 0)?)),
    },
    FactTable {
        name: "users",
        columns: USER_COLUMNS,
        key: &[key("tenant"), key("id")],
        read: |row, tenants| Ok(Fact::User(user(row, tenants)?)),
    },
    FactTable {
        name: "projects",
        columns: PROJECT_COLUMNS,
        key: &[key("tenant"), key("id")],
        read: |row, tenants| Ok(Fact::Project(project(row, tenants)?)),
    },
    FactTable {
        name: "collaborators",
        columns: COLLABORATOR_COLUMNS,
        key: &[key("tenant"), key("project_id"), key("user_id")],
        read: |row, tenants| Ok(Fact::Collaborator(collaborator(row, tenants)?)),
    },
    FactTable {
        name: "tokens",
        columns: "t.tenant, t.id, t.kind, t.sha256, t.user_id, t.project_id, t.scope_pull, t.scope_push, \
                  t.allow_trigger, cast(t.projects as text), t.expires_at, t.revoked_at is not null, \
                  cast(t.tools as text)",
        key: &[key("sha256")],
        read: token,
    },
    FactTable {
        name: "upstreams",
        columns: "t.tenant, t.id, t.allow_all, t.credential, t.header, t.format, cast(t.value_headers as text), \
                  cast(t.pass_headers as text)",
        key: &[key("tenant"), key("id")],
        read: upstream,
    },
    FactTable {
        name: "grants",
        columns: "t.tenant, t.token_id, t.upstream_id",
        key: &[key("tenant"), key("token_id"), key("upstream_id")],
        read: grant,
    },
    FactTable {
        name: "upstream_credentials",
        columns: "t.tenant, t.upstream_id, t.holder, t.holder_id, t.state, t.expires_at, t.key_id, t.sealed",
        key: &[key("tenant"), key("upstream_id"), key("holder"), key("holder_id")],
        read: credential,
    },
];

/// Hands every row of decision data to `sink`, table by table.
pub(super) async fn all(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    sink: &mut (dyn FnMut(Fact) + Send),
) -> Result<(), StoreError> {
    let mut tenants = Tenants::default();
    for table in &FACTS {
        let sql = format!("select {} from {}{} as t", table.columns, dialect.only(), table.name);
        transaction
            .query(&sql, None, &mut |row| {
                sink(read(table, row, &mut tenants)?);
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// The fact in a row of a table's columns.
pub(super) fn read(table: &FactTable, row: &dyn Row, tenants: &mut Tenants) -> Result<Fact, StoreError> {
    (table.read)(row, tenants).map_err(|reason| StoreError::corrupt(table.name, reason.0))
}

/// Why a row cannot be read. Never holds a token's hash.
pub(super) struct Unreadable(pub(super) String);

impl From<sqlx::Error> for Unreadable {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads tenant ids. Neighbouring rows mostly have the same tenant, and then share its text.
#[derive(Default)]
pub(super) struct Tenants {
    last: Option<TenantId>,
}

impl Tenants {
    /// The tenant in a column that is not NULL.
    pub(super) fn read(&mut self, row: &dyn Row, column: usize) -> Result<TenantId, Unreadable> {
        self.read_optional(row, column)?.ok_or_else(|| Unreadable("it has no tenant".to_owned()))
    }

    /// The tenant in a column that may be NULL.
    pub(super) fn read_optional(
        &mut self,
        row: &dyn Row,
        column: usize,
    ) -> Result<Option<TenantId>, Unreadable> {
        let Some(text) = row.text(column)? else { return Ok(None) };
        if let Some(last) = self.last.as_ref().filter(|last| last.as_str() == text) {
            return Ok(Some(last.clone()));
        }
        let read = TenantId::try_from(text).map_err(|error| Unreadable(format!("its tenant: {error}")))?;
        self.last = Some(read.clone());
        Ok(Some(read))
    }
}

/// The text in a column that is not NULL.
pub(super) fn text(row: &dyn Row, column: usize) -> Result<String, Unreadable> {
    optional_text(row, column)?.ok_or_else(|| Unreadable(format!("column {column} is empty")))
}

/// The text in a column that may be NULL.
pub(super) fn optional_text(row: &dyn Row, column: usize) -> Result<Option<String>, Unreadable> {
    Ok(row.text(column)?.map(str::to_owned))
}

/// The value whose name is in a column, by `from_name`; `what` and `id` say which one it is not.
pub(super) fn named<T>(
    row: &dyn Row,
    column: usize,
    from_name: impl FnOnce(&str) -> Option<T>,
    what: &str,
    id: &str,
) -> Result<T, Unreadable> {
    let value = row.text(column)?.and_then(from_name);
    value.ok_or_else(|| Unreadable(format!("the {what} of {id:?} is none that regate knows")))
}

/// The user in a row of [`USER_COLUMNS`].
pub(super) fn user(row: &dyn Row, tenants: &mut Tenants) -> Result<User, Unreadable> {
    let id = text(row, 1)?;
    Ok(User {
        tenant: tenants.read(row, 0)?,
        role: named(row, 2, UserRole::from_name, "role", &id)?,
        disabled: row.flag(3)?,
        id,
    })
}

/// The project in a row of [`PROJECT_COLUMNS`].
pub(super) fn project(row: &dyn Row, tenants: &mut Tenants) -> Result<Project, Unreadable> {
    Ok(Project {
        tenant: tenants.read(row, 0)?,
        id: text(row, 1)?,
        name: text(row, 2)?,
        public: row.flag(3)?,
    })
}

/// The collaborator in a row of [`COLLABORATOR_COLUMNS`].
pub(super) fn collaborator(row: &dyn Row, tenants: &mut Tenants) -> Result<Collaborator, Unreadable> {
    let user_id = text(row, 2)?;
    Ok(Collaborator {
        tenant: tenants.read(row, 0)?,
        project_id: text(row, 1)?,
        role: named(row, 3, ProjectRole::from_name, "role", &user_id)?,
        user_id,
    })
}

fn token(row: &dyn Row, tenants: &mut Tenants) -> Result<Fact, Unreadable> {
    let id = text(row, 1)?;
    // Of a dead token no decision reads them, and there is no end to dead tokens.
    let revoked = row.flag(11)?;
    let list = |column| row.text(column).map(|list| list.filter(|_| !revoked));
    Ok(Fact::Token(Token {
        tenant: tenants.read_optional(row, 0)?,
        kind: kind(row, 2, &id)?,
        sha256: named(row, 3, |hex| hex.parse::<TokenHash>().ok(), "sha256", &id)?,
        user_id: optional_text(row, 4)?,
        project_id: optional_text(row, 5)?,
        scope_pull: row.flag(6)?,
        scope_push: row.flag(7)?,
        allow_trigger: row.flag(8)?,
        projects: list(9)?.map(project_list),
        expires_at: row.time(10)?.map(Timestamp::unix_seconds),
        revoked,
        tools: list(12)?.map(tool_list),
        id,
    }))
}

fn upstream(row: &dyn Row, tenants: &mut Tenants) -> Result<Fact, Unreadable> {
    let id = text(row, 1)?;
    Ok(Fact::Upstream(Upstream {
        tenant: tenants.read(row, 0)?,
        allow_all: row.flag(2)?,
        credential: named(row, 3, CredentialMode::from_name, "credential", &id)?,
        header: text(row, 4)?,
        format: text(row, 5)?,
        value_headers: row.text(6)?.map(header_list),
        pass_headers: row.text(7)?.map(header_list),
        id,
    }))
}

fn grant(row: &dyn Row, tenants: &mut Tenants) -> Result<Fact, Unreadable> {
    Ok(Fact::Grant(Grant {
        tenant: tenants.read(row, 0)?,
        token_id: text(row, 1)?,
        upstream_id: text(row, 2)?,
    }))
}

fn credential(row: &dyn Row, tenants: &mut Tenants) -> Result<Fact, Unreadable> {
    let upstream_id = text(row, 1)?;
    Ok(Fact::Credential(UpstreamCredential {
        tenant: tenants.read(row, 0)?,
        holder: holder(row, 2)?,
        state: named(row, 4, CredentialState::from_name, "state", &upstream_id)?,
        expires_at: row.time(5)?.map(Timestamp::unix_seconds),
        sealed: sealed::read(row, 6)?,
        upstream_id,
    }))
}

/// The holder of a credential, from its kind in a column and its id in the next.
pub(super) fn holder(row: &dyn Row, column: usize) -> Result<Holder, Unreadable> {
    let kind = named(row, column, HolderKind::from_name, "holder", "a credential")?;
    Ok(Holder::new(kind, &text(row, column + 1)?))
}

/// The kind of the token `id`.
pub(super) fn kind(row: &dyn Row, column: usize, id: &str) -> Result<TokenKind, Unreadable> {
    named(row, column, |name| name.parse().ok(), "kind", id)
}

/// A token's project list, whoever wrote it.
///
/// INVARIANT: what cannot be read is the narrower right. A list of another shape allows no project;
/// an expiry that is no time has passed; an element that names no project is left out.
pub(super) fn project_list(json: &str) -> BTreeMap<String, Option<i64>> {
    match serde_json::from_str(json) {
        Ok(Value::Object(entries)) => entries
            .into_iter()
            .map(|(project, expiry)| {
                let expiry = match expiry {
                    Value::Null => None,
                    Value::String(text) => Some(time::parse(&text).map_or(0, Timestamp::unix_seconds)),
                    Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(0),
                };
                (project, expiry)
            })
            .collect(),
        Ok(Value::Array(projects)) => projects
            .into_iter()
            .filter_map(|project| match project {
                Value::String(project) => Some((project, None)),
                _ => None,
            })
            .collect(),
        Ok(_) | Err(_) => BTreeMap::new(),
    }
}

/// A token's list of tools, whoever wrote it.
///
/// INVARIANT: what cannot be read is the narrower right: a list of another shape, or of anything but names, allows no
/// tool.
pub(super) fn tool_list(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}

/// A list of headers' names, whoever wrote it: one that cannot be read names none.
pub(super) fn header_list(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{project_list, tool_list};

    #[test]
    fn a_list_of_tools_is_read_in_the_narrower_direction() {
        assert_eq!(tool_list(r#"["b","a"]"#), ["b", "a"]);
        let deep = "[".repeat(100_000);
        for none in
            ["[]", "{}", r#"{"a":null}"#, "null", r#""a""#, "5", r#"["a",5]"#, r#"[["a"]]"#, "", "[", &deep]
        {
            assert_eq!(tool_list(none), [""; 0]);
        }
    }

    #[test]
    fn a_project_list_is_read_in_the_narrower_direction() {
        let list = |json: &str| project_list(json).into_iter().collect::<Vec<_>>();
        let p = |id: &str, expiry| (id.to_owned(), expiry);
        assert_eq!(list(r#"["b","a"]"#), [p("a", None), p("b", None)]);
        assert_eq!(list(r#"[1,null,["a"],"b"]"#), [p("b", None)]);
        assert_eq!(list(r#"{"a":null,"b":"1970-01-01T00:00:09.9Z"}"#), [p("a", None), p("b", Some(9))]);
        assert_eq!(
            list(r#"{"a":"soon","b":4102444800,"c":true,"d":{},"e":"2100-01-01"}"#),
            ["a", "b", "c", "d", "e"].map(|id| p(id, Some(0)))
        );
        for empty in ["[]", "{}", "null", "true", "5", r#""a""#, "", "{", "nonsense"] {
            assert_eq!(list(empty), [], "{empty}");
        }
    }
}
