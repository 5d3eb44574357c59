//! Every difference between the SQL of the two databases.

use serde::Serialize;

use super::{
    DatabaseFault, StoreError,
    schema::{Column, Kind},
};

/// Which database's SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// SQLite 3.39 or later; the program brings its own.
    Sqlite,
    /// Postgres 14 or later.
    Postgres,
}

impl Dialect {
    /// What stands in a `from`: the parameter `$1`, a JSON array of objects, as a table `r` of
    /// `columns`, and `r.i`, the place in the array counted from 0. A key that an object lacks, or
    /// that is null, is NULL.
    pub(super) fn rows<'a>(self, columns: impl IntoIterator<Item = &'a Column>) -> String {
        let mut list = Vec::new();
        match self {
            Self::Sqlite => {
                for Column { name, kind, .. } in columns {
                    list.push(match kind {
                        // The JSON itself, where `->>` would give an array's text and a null's too.
                        Kind::Json => format!("nullif(value -> '{name}', 'null') as {name}"),
                        Kind::Text | Kind::Boolean | Kind::Time | Kind::Number => {
                            format!("value ->> '{name}' as {name}")
                        }
                    });
                }
                format!("(select key as i, {} from json_each($1)) as r", list.join(", "))
            }
            Self::Postgres => {
                let mut names = Vec::new();
                for Column { name, kind, .. } in columns {
                    let sql_type = match kind {
                        Kind::Text => "text",
                        Kind::Boolean => "boolean",
                        Kind::Json => "jsonb",
                        Kind::Time => "timestamptz",
                        Kind::Number => "bigint",
                    };
                    list.push(format!("{name} {sql_type}"));
                    names.push(*name);
                }
                format!(
                    "(select {names}, position - 1 as i \
                     from rows from (jsonb_to_recordset(cast($1 as jsonb)) as ({list})) \
                     with ordinality as unpacked ({names}, position)) as r",
                    names = names.join(", "),
                    list = list.join(", "),
                )
            }
        }
    }

    /// What begins a transaction that writes: where the triggers cannot tell by themselves, it says
    /// that all its changes are one revision.
    pub(super) const fn begin_revision(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some(
                // Where another program left `in_batch` behind, it may have changed rows that no revision
                // tells of: then this one follows nothing that anybody has.
                "update data_revision set in_batch = 1, noted = 0, revision = revision + 1, \
                 follows = iif(in_batch, lower(hex(randomblob(16))), mark), mark = lower(hex(randomblob(16)))",
            ),
            Self::Postgres => None,
        }
    }

    /// Asks for the position: the revision and its mark.
    pub(super) const fn position(self) -> &'static str {
        match self {
            // Between transactions `in_batch` is 0. If it is not, changes are not noted as they should be.
            Self::Sqlite => "select iif(in_batch, -1, revision), mark from data_revision",
            Self::Postgres => "select revision, cast(mark as text) from data_revision",
        }
    }

    /// What ends a transaction that writes: from here on other writers wait, and the revision that
    /// [`revision::current`](super::revision::current) reads is the one that the transaction will have.
    pub(super) const fn end_revision(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &[
                "insert into data_changes (revision, follows, changed) \
                 select revision, follows, 'everything' from data_revision where noted > 5000",
                "update data_revision set in_batch = 0, revision = revision - (noted = 0), \
                 mark = iif(noted = 0, follows, mark)",
                "delete from data_changes where revision <= (select revision - 16384 from data_revision)",
            ],
            Self::Postgres => &["set constraints data_changes_take_a_revision immediate"],
        }
    }

    /// What stands before a table's name so that its rows are meant, and not those of tables that inherit
    /// from it, which no trigger of ours sees.
    pub(super) const fn only(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "only ",
        }
    }

    /// Asks for the number of the triggers that note changes and that reconcile credentials, those that are in force, and for a text that
    /// is another when a table was made anew, or was changed by something that fires no trigger. The second
    /// value is what that number must be.
    pub(super) const fn structure(self) -> (&'static str, i64) {
        match self {
            Self::Sqlite => (
                // An organisation may have triggers of its own on these tables.
                "select count(*) filter (where type = 'trigger' and name in (tbl_name || '_insert', \
                 tbl_name || '_update', tbl_name || '_delete', 'tokens_replace', 'tokens_replace_by_update', \
                 'take_data_revision', 'reconcile_token_credentials', 'reconcile_upstream_credentials', \
                 'forget_tenant_rows', 'forget_user_rows', 'forget_token_rows', 'forget_upstream_rows', \
                 'grants_reconcile_insert', 'grants_reconcile_update', 'grants_reconcile_delete', \
                 'upstreams_reconcile_update', 'upstreams_reconcile_oauth', 'tokens_reconcile_update', \
                 'tenants_reconcile_delete', 'users_reconcile_insert', 'users_reconcile_move', \
                 'users_reconcile_delete', 'tokens_reconcile_insert', 'tokens_reconcile_move', \
                 'tokens_reconcile_delete', 'upstreams_reconcile_insert', 'upstreams_reconcile_move', \
                 'upstreams_reconcile_delete')), \
                 group_concat(name || ' ' || rootpage || ' ' || sql, ';') \
                 from (select * from sqlite_schema where type in ('table', 'trigger') and tbl_name in ( \
                 'tenants', 'users', 'projects', 'collaborators', 'tokens', 'upstreams', 'grants', \
                 'upstream_credentials', 'note_data_change', 'reconcile_token', 'reconcile_upstream', \
                 'forget_tenant', 'forget_user', 'forget_token', 'forget_upstream') order by name)",
                8 * 3 + 3 + 2 + 4 + 3 + 3 + 1 + 3 * 3,
            ),
            Self::Postgres => (
                "select (select count(*) from pg_trigger where tgenabled in ('A', 'O') \
                 and case tgrelid when cast('data_changes' as regclass) \
                 then tgname = 'data_changes_take_a_revision' and tgfoid = cast('take_data_revision()' as regprocedure) \
                 else tgrelid = any(tables) and (tgname in ('note_insert', 'note_update', 'note_delete', 'note_truncate') \
                 and tgfoid = cast('note_data_change()' as regprocedure) \
                 or tgname in ('reconcile_insert', 'reconcile_update', 'reconcile_delete', 'reconcile_truncate') \
                 and tgfoid = case tgrelid \
                 when cast('grants' as regclass) then cast('reconcile_after_grants()' as regprocedure) \
                 when cast('upstreams' as regclass) then cast('reconcile_after_upstreams()' as regprocedure) \
                 when cast('tokens' as regclass) then cast('reconcile_after_tokens()' as regprocedure) end) end) \
                 - (select count(*) from pg_inherits where inhrelid = any(tables)), \
                 (select string_agg(oid || '.' || relfilenode, ';' order by oid) from pg_class \
                 where oid = any(tables)) \
                 from (values (cast(array['tenants', 'users', 'projects', 'collaborators', 'tokens', 'upstreams', \
                 'grants', 'upstream_credentials'] as regclass[]))) as own (tables)",
                8 * 4 + 1 + 4 + 1 + 1,
            ),
        }
    }

    /// What ends a query, so that the rows of its table `t` are nobody else's to write until the transaction
    /// ends, and are as they were written last. Rows may still be made that refer to them.
    pub(super) const fn hold(self) -> &'static str {
        match self {
            // A transaction that writes has the whole database to itself from its beginning.
            Self::Sqlite => "",
            Self::Postgres => " for no key update of t",
        }
    }

    /// The same, but that others may write what is no key of theirs: they only stay. It conflicts with nothing but
    /// their removal.
    pub(super) const fn hold_key(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for key share of t",
        }
    }

    /// As [`hold`](Self::hold), passing over the rows that somebody else holds: it never waits.
    pub(super) const fn hold_what_is_free(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for no key update of t skip locked",
        }
    }

    /// A column of times, so that it can be compared with a time of the parameter. NULL if it is none.
    pub(super) fn moment(self, column: &str) -> String {
        match self {
            // The form of `time::to_text`: other programs write other offsets, and fewer digits.
            Self::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%fZ', {column})"),
            Self::Postgres => column.to_owned(),
        }
    }

    /// The condition that one text stands in another, whatever their case (of ASCII's letters on SQLite).
    pub(super) fn stands_in(self, needle: &str, haystack: &str) -> String {
        match self {
            Self::Sqlite => format!("instr(lower({haystack}), lower({needle})) > 0"),
            Self::Postgres => format!("strpos(lower({haystack}), lower({needle})) > 0"),
        }
    }

    /// A whole number that will not come again.
    pub(super) const fn any_number(self) -> &'static str {
        match self {
            Self::Sqlite => "abs(random() % 9007199254740991)",
            Self::Postgres => "cast(floor(random() * 9007199254740991) as bigint)",
        }
    }

    /// The present moment, for a column that says when its row was made.
    pub(super) const fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
            Self::Postgres => "now()",
        }
    }
}

/// The parameter of a statement: `rows` as a JSON array.
pub(super) fn json_rows<T: Serialize>(rows: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Failed(DatabaseFault(error.to_string())))
}
