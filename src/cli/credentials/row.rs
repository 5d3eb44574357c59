//! What may be shown of a credential: never its value.

use serde_json::{Value, json};

use crate::{
    cli::{printable::as_name, rows::Shown},
    store::upstreams::CredentialRow,
    types::{Holder, Timestamp},
    upstream::cursor,
};

/// A credential, and where a list goes on after it.
pub(super) struct ShownCredential {
    row: CredentialRow,
    cursor: String,
}

impl From<CredentialRow> for ShownCredential {
    fn from(row: CredentialRow) -> Self {
        Self { cursor: cursor(&row.key), row }
    }
}

/// A holder, in words.
pub(super) fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Shared => "shared".to_owned(),
        Holder::Token(id) | Holder::User(id) => format!("{} {}", holder.kind().as_str(), as_name(id)),
    }
}

/// A holder, for programs.
pub(super) fn holder_object(holder: &Holder) -> Value {
    let id = match holder {
        Holder::Shared => None,
        Holder::Token(id) | Holder::User(id) => Some(id),
    };
    json!({"kind": holder.kind().as_str(), "id": id})
}

/// To the second, which is enough for a list.
fn time(moment: Option<Timestamp>) -> String {
    let text = moment.map(|moment| moment.to_string()).unwrap_or_default();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

impl Shown for ShownCredential {
    const NOUN: &'static str = "credential";
    const COLUMNS: &'static [&'static str] =
        &["UPSTREAM", "HOLDER", "TENANT", "USER", "STATE", "HEADERS", "RENEWED", "UPDATED", "EXPIRES"];

    fn title(&self) -> String {
        format!("of {} for {}", holder(&self.row.key.holder), as_name(&self.row.key.upstream_id))
    }

    fn cursor(&self) -> &str {
        &self.cursor
    }

    fn cells(&self) -> Vec<String> {
        let CredentialRow { key, user_id, state, header_names, renewable, expires_at, updated_at, .. } =
            &self.row;
        vec![
            as_name(&key.upstream_id).into_owned(),
            holder(&key.holder),
            key.tenant.to_string(),
            user_id.as_deref().map(|id| as_name(id).into_owned()).unwrap_or_default(),
            state.as_str().to_owned(),
            header_names.join(", "),
            if *renewable { "by regate" } else { "" }.to_owned(),
            time(Some(*updated_at)),
            time(*expires_at),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        let row = &self.row;
        vec![
            ("upstream_id", json!(row.key.upstream_id)),
            ("tenant", json!(row.key.tenant.as_str())),
            ("holder", holder_object(&row.key.holder)),
            ("user_id", json!(row.user_id)),
            ("state", json!(row.state.as_str())),
            ("header_names", json!(row.header_names)),
            ("renewable", json!(row.renewable)),
            // Nobody here is anybody's user.
            ("may_renew", json!(false)),
            ("created_at", json!(text(Some(row.created_at)))),
            ("updated_at", json!(text(Some(row.updated_at)))),
            ("expires_at", json!(text(row.expires_at))),
            ("orphaned_at", json!(text(row.orphaned_at))),
        ]
    }
}
