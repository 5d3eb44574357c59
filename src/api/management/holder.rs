//! Holders of upstream credentials: on the wire, as rules see them, and whether a caller may act for one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{openapi::HolderKindSchema, problem::Problem},
    Caller, Operation, Operator,
    tokens::find,
};
use crate::{
    decision::{About, Document, ManagedHolder},
    types::{Holder, HolderKind, check_id},
};

/// A holder on the wire.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HolderMessage {
    /// The user's or the token's id; null for the shared credential.
    id: Option<String>,
    /// `user`, `token` or `shared`.
    #[schema(value_type = HolderKindSchema)]
    kind: String,
}

impl From<&Holder> for HolderMessage {
    fn from(holder: &Holder) -> Self {
        Self { id: id_of(holder).map(str::to_owned), kind: holder.kind().as_str().to_owned() }
    }
}

impl HolderMessage {
    /// The holder that is meant.
    pub(super) fn read(self) -> Result<Holder, Problem> {
        let wrong = |text: String| Err(Problem::Invalid(text));
        let Some(kind) = HolderKind::from_name(&self.kind) else {
            return wrong("holder.kind: it must be user, token or shared".to_owned());
        };
        match (kind, self.id) {
            (HolderKind::Shared, None) => Ok(Holder::Shared),
            (HolderKind::Shared, Some(_)) => wrong("holder.id: the shared credential has none".to_owned()),
            (_, None) => wrong(format!("holder.id: say which {}", kind.as_str())),
            (_, Some(id)) => match check_id(&id) {
                Ok(()) => Ok(Holder::new(kind, &id)),
                Err(error) => wrong(format!("holder.id: {error}")),
            },
        }
    }
}

/// The kind of holder that a query names.
pub(super) fn kind(name: Option<&str>) -> Result<Option<HolderKind>, Problem> {
    match name.map(HolderKind::from_name) {
        Some(None) => Err(Problem::Invalid("holder: it must be user, token or shared".to_owned())),
        kind => Ok(kind.flatten()),
    }
}

fn id_of(holder: &Holder) -> Option<&str> {
    match holder {
        Holder::Shared => None,
        Holder::Token(id) | Holder::User(id) => Some(id),
    }
}

/// What rules see of a holder.
pub(super) fn managed<'a>(holder: &'a Holder, user_id: Option<&'a str>) -> ManagedHolder<'a> {
    ManagedHolder { kind: Some(holder.kind()), id: id_of(holder), user_id }
}

/// What a holder is called whom the caller may not see: the same as one who is not there.
fn hidden(holder: &Holder) -> &'static str {
    match holder {
        Holder::Shared => "credential",
        Holder::Token(_) => "token",
        Holder::User(_) => "user",
    }
}

/// Asks whether the caller may make a call about the credential of this holder. Who a user is, the path says; of a
/// token it is looked up, so such a call is asked twice: before that, and with what was found.
///
/// # Errors
/// Why not. Whoever may not see the credential is told that there is no such holder.
pub(super) async fn asked<'a>(
    caller: &'a Caller,
    operation: Operation,
    upstream: &str,
    holder: &Holder,
) -> Result<Operator<'a>, Problem> {
    let about = About { upstream: Some(upstream), ..About::default() };
    let operator = caller.may_with(operation, about, Document::Null).await?;
    let user_id = match holder {
        Holder::Shared => None,
        Holder::User(id) => Some(id.clone()),
        Holder::Token(id) => find(&operator, id).await?.value.user_id,
    };
    let held = managed(holder, user_id.as_deref());
    operator.may_on_credential(operation, upstream, held, hidden(holder)).await?;
    Ok(operator)
}
