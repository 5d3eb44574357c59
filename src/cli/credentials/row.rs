//! What may be shown of a credential: never its value.

use serde_json::{Value, json};

use crate::{
    cli::{printable::as_name, rows::Shown},
    decision::facts::CredentialState,
    store::upstreams::CredentialRow,
    types::{Holder, Timestamp},
    upstream::cursor,
};

/// A credential, and where a list goes on after it.
pub(super) struct ShownCredential {
    row: CredentialRow,
    cursor: String,
    now: Timestamp,
}

impl ShownCredential {
    /// As it is at this moment.
    pub(super) fn new(row: CredentialRow, now: Timestamp) -> Self {
        Self { cursor: cursor(&row.key), row, now }
    }

    /// Its state, in words: what has expired goes on no more than what is missing.
    fn state(&self) -> String {
        let state = self.row.state.as_str();
        let expired = self.row.expires_at.is_some_and(|end| end <= self.now);
        if expired && self.row.state == CredentialState::Active {
            format!("{state}, expired")
        } else {
            state.to_owned()
        }
    }
}

/// A holder, in words.
pub(super) fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Shared => "shared".to_owned(),
        Holder::Token(id) | Holder::User(id) => format!("{} {}", holder.kind().as_str(), as_name(id)),
    }
}

/// What is of a holder, in words: the shared credential, the credential of user ada.
pub(super) fn of_holder(noun: &str, of: &Holder) -> String {
    match of {
        Holder::Shared => format!("shared {noun}"),
        of => format!("{noun} of {}", holder(of)),
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

    fn named(&self) -> String {
        let key = &self.row.key;
        format!("{} for {}", of_holder(Self::NOUN, &key.holder), as_name(&key.upstream_id))
    }

    fn cursor(&self) -> &str {
        &self.cursor
    }

    fn cells(&self) -> Vec<String> {
        let CredentialRow { key, user_id, header_names, renewable, expires_at, updated_at, .. } = &self.row;
        vec![
            as_name(&key.upstream_id).into_owned(),
            holder(&key.holder),
            key.tenant.to_string(),
            user_id.as_deref().map(|id| as_name(id).into_owned()).unwrap_or_default(),
            self.state(),
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
