//! The tables that are written from JSON rows: their columns, and what an upsert does to each.

use super::dialect::Dialect;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A boolean.
    Boolean,
    /// A JSON document.
    Json,
    /// A time.
    Time,
    /// A whole number of 64 bits, with its sign.
    Number,
}

/// What an upsert does to a column of a row that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    /// It is part of the key.
    Key,
    /// The new value replaces the old.
    Replace,
    /// The new value replaces the old, unless it is NULL.
    ReplaceUnlessNull,
    /// The old value stays, unless it is NULL.
    Keep,
    /// It never changes, and a row that has another is not touched at all.
    Fixed,
    /// It is set when the row is made (NULL means now), and never again.
    MadeAt,
    /// The new value replaces the old, unless the row is revoked.
    ReplaceUnlessRevoked,
}

/// A column of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its name, in the database and in the JSON rows.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What an upsert does to it.
    pub update: Update,
}

const fn column(name: &'static str, kind: Kind, update: Update) -> Column {
    Column { name, kind, update }
}

/// A column of times.
pub(super) const fn time(name: &'static str) -> Column {
    column(name, Kind::Time, Update::Replace)
}

/// A column of a key.
pub(super) const fn key(name: &'static str) -> Column {
    column(name, Kind::Text, Update::Key)
}

/// A column of text.
pub(super) const fn text(name: &'static str) -> Column {
    column(name, Kind::Text, Update::Replace)
}

/// A column of JSON.
pub(super) const fn json(name: &'static str) -> Column {
    column(name, Kind::Json, Update::Replace)
}

/// A column of numbers.
pub(super) const fn number(name: &'static str) -> Column {
    column(name, Kind::Number, Update::Replace)
}

/// A column of booleans.
pub(super) const fn boolean(name: &'static str) -> Column {
    column(name, Kind::Boolean, Update::Replace)
}

/// A table and those of its columns that a statement names; the others keep what they have, or
/// their default.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    /// Its name, which is also its list's name in an import document.
    pub name: &'static str,
    /// The columns.
    pub columns: &'a [Column],
}

/// Tenants.
pub(super) const TENANTS: Table<'static> = Table { name: "tenants", columns: &[key("id")] };

/// Users.
pub(super) const USERS: Table<'static> =
    Table { name: "users", columns: &[key("tenant"), key("id"), text("role"), boolean("disabled")] };

/// Users, leaving alone whether they are disabled.
pub(super) const USERS_WITHOUT_DISABLED: Table<'static> =
    Table { name: "users", columns: &[key("tenant"), key("id"), text("role")] };

/// Projects.
pub(super) const PROJECTS: Table<'static> =
    Table { name: "projects", columns: &[key("tenant"), key("id"), text("name"), boolean("public")] };

/// Collaborators.
pub(super) const COLLABORATORS: Table<'static> = Table {
    name: "collaborators",
    columns: &[key("tenant"), key("project_id"), key("user_id"), text("role")],
};

/// Tokens.
pub(super) const TOKENS: Table<'static> = Table {
    name: "tokens",
    columns: &[
        key("id"),
        // INVARIANT: nobody writes another tenant's token by naming its id, and none moves to another tenant. An
        // import that says so is refused before it writes, and this holds also for what came in between.
        column("tenant", Kind::Text, Update::Fixed),
        text("kind"),
        text("name"),
        // INVARIANT: a revoked token keeps its hash, so that the credential it stood for stays dead:
        // nobody else can take a hash that is taken.
        column("sha256", Kind::Text, Update::ReplaceUnlessRevoked),
        column("prefix", Kind::Text, Update::ReplaceUnlessNull),
        text("user_id"),
        text("project_id"),
        boolean("scope_pull"),
        boolean("scope_push"),
        boolean("allow_trigger"),
        column("projects", Kind::Json, Update::Replace),
        column("tools", Kind::Json, Update::Replace),
        column("expires_at", Kind::Time, Update::Replace),
        // INVARIANT: nothing revives a revoked token.
        column("revoked_at", Kind::Time, Update::Keep),
        column("created_at", Kind::Time, Update::MadeAt),
    ],
};

/// The decision log, whose rows are written once.
pub(super) const DECISIONS: Table<'static> = Table {
    name: "decisions",
    columns: &[
        number("sequence"),
        text("decision_id"),
        text("tenant"),
        number("time_millis"),
        text("face"),
        boolean("allow"),
        number("status"),
        text("reason"),
        text("token_id"),
        text("user_id"),
        text("project_id"),
        text("upstream_id"),
        text("method"),
        text("path"),
        text("record"),
        text("hash"),
    ],
};

/// Upstreams.
pub(super) const UPSTREAMS: Table<'static> = Table {
    name: "upstreams",
    columns: &[
        key("tenant"),
        key("id"),
        text("url"),
        boolean("allow_all"),
        text("credential"),
        text("header"),
        text("format"),
        json("value_headers"),
        json("pass_headers"),
        json("oauth"),
    ],
};

/// Grants.
pub(super) const GRANTS: Table<'static> =
    Table { name: "grants", columns: &[key("tenant"), key("token_id"), key("upstream_id")] };

impl Table<'_> {
    /// Inserts the rows of `$1`.
    pub(super) fn insert(&self, dialect: Dialect) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let values: Vec<String> = self
            .columns
            .iter()
            .map(|Column { name, update, .. }| match update {
                Update::MadeAt => format!("coalesce(r.{name}, {})", dialect.now()),
                Update::Key
                | Update::Replace
                | Update::ReplaceUnlessNull
                | Update::ReplaceUnlessRevoked
                | Update::Keep
                | Update::Fixed => {
                    format!("r.{name}")
                }
            })
            .collect();
        format!(
            "insert into {table} ({names}) select {values} from {rows} where true",
            table = self.name,
            names = names.join(", "),
            values = values.join(", "),
            rows = dialect.rows(self.columns),
        )
    }

    /// Inserts those rows of `$1` that are missing.
    pub(super) fn insert_missing(&self, dialect: Dialect) -> String {
        format!("{} on conflict ({}) do nothing", self.insert(dialect), self.key_names())
    }

    /// Removes the rows of `$1`, by their keys.
    pub(super) fn delete(&self, dialect: Dialect) -> String {
        let columns = self.columns.iter().filter(|column| column.update == Update::Key);
        let theirs: Vec<String> = self.keys().map(|name| format!("r.{name}")).collect();
        format!(
            "delete from {table} where ({keys}) in (select {theirs} from {rows})",
            table = self.name,
            keys = self.key_names(),
            theirs = theirs.join(", "),
            rows = dialect.rows(columns),
        )
    }

    /// Inserts the rows of `$1`, and brings those that exist up to date. The number of rows written
    /// leaves out those that were so already.
    pub(super) fn upsert(&self, dialect: Dialect) -> String {
        let table = self.name;
        let mut assignments = Vec::new();
        let mut differences = Vec::new();
        let mut untouchable = String::new();
        for Column { name, update, .. } in self.columns {
            // Written in terms of the row as it is when it is locked, not as it was read earlier.
            let value = match update {
                Update::Key | Update::MadeAt => continue,
                Update::Fixed => {
                    untouchable
                        .push_str(&format!("{table}.{name} is not distinct from excluded.{name} and "));
                    continue;
                }
                Update::Replace => format!("excluded.{name}"),
                Update::ReplaceUnlessNull => format!("coalesce(excluded.{name}, {table}.{name})"),
                Update::Keep => format!("coalesce({table}.{name}, excluded.{name})"),
                Update::ReplaceUnlessRevoked => format!(
                    "case when {table}.revoked_at is null then excluded.{name} else {table}.{name} end"
                ),
            };
            differences.push(format!("{table}.{name} is distinct from {value}"));
            assignments.push(format!("{name} = {value}"));
        }
        if assignments.is_empty() {
            return self.insert_missing(dialect);
        }
        format!(
            "{} on conflict ({}) do update set {} where {untouchable}({})",
            self.insert(dialect),
            self.key_names(),
            assignments.join(", "),
            differences.join(" or "),
        )
    }

    /// How many rows of `$1` exist.
    pub(super) fn count_existing(&self, dialect: Dialect) -> String {
        let keys = self.columns.iter().filter(|column| column.update == Update::Key);
        let same: Vec<String> = self.keys().map(|name| format!("t.{name} = r.{name}")).collect();
        format!(
            "select count(*) from {rows} join {table} as t on {same}",
            rows = dialect.rows(keys),
            table = self.name,
            same = same.join(" and "),
        )
    }

    /// Its columns but those that the row leaves out: they keep what they have, or their default.
    pub(super) fn given(&self, row: &serde_json::Value) -> Vec<Column> {
        self.columns.iter().filter(|column| !row[column.name].is_null()).copied().collect()
    }

    fn key_names(&self) -> String {
        self.keys().collect::<Vec<_>>().join(", ")
    }

    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().filter(|column| column.update == Update::Key).map(|column| column.name)
    }
}
