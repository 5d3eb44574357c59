//! Schemas of what other rooms define, and which know nothing of OpenAPI.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, Schema, SchemaFormat, Type,
        schema::{AdditionalProperties, SchemaType},
    },
};

use crate::{
    decision::facts::{CredentialMode, CredentialState, ProjectRole},
    store::TokenState,
    types::{HolderKind, TokenKind, UserRole},
};

fn one_of(names: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    let names: Vec<serde_json::Value> = names.into_iter().map(Into::into).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
}

macro_rules! names {
    ($($type:ty => $names:expr;)+) => {
        $(
            impl PartialSchema for $type {
                fn schema() -> RefOr<Schema> {
                    one_of($names)
                }
            }

            impl ToSchema for $type {}
        )+
    };
}
names! {
    TokenKind => TokenKind::ALL.map(TokenKind::as_str);
    UserRole => UserRole::ALL.map(UserRole::as_str);
    ProjectRole => ProjectRole::ALL.iter().map(|role| role.as_str());
    TokenStateSchema => TokenState::ALL.map(TokenState::as_str);
    CredentialMode => CredentialMode::ALL.iter().map(|mode| mode.as_str());
    CredentialStateSchema => CredentialState::ALL.iter().map(|state| state.as_str());
    HolderKindSchema => HolderKind::ALL.map(HolderKind::as_str);
    NamedHolderSchema => [HolderKind::User.as_str(), HolderKind::Token.as_str()];
}

/// The states of a token.
pub(in crate::api) struct TokenStateSchema;

/// The states of an upstream credential.
pub(in crate::api) struct CredentialStateSchema;

/// The kinds of holders.
pub(in crate::api) struct HolderKindSchema;

/// The kinds of holders that have an id.
pub(in crate::api) struct NamedHolderSchema;

/// `["p1"]`, or `{"p1": "2030-01-01T00:00:00Z", "p2": null}`.
pub(in crate::api) struct ProjectListSchema;

impl PartialSchema for ProjectListSchema {
    fn schema() -> RefOr<Schema> {
        let id = || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(256));
        let list = ArrayBuilder::new().items(id()).max_items(Some(1000));
        let expiry = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let map = ObjectBuilder::new()
            .property_names(Some(id()))
            .additional_properties(Some(AdditionalProperties::RefOr(expiry.into())));
        OneOfBuilder::new().item(list).item(map).examples([json!(["p1"]), json!({"p1": null})]).into()
    }
}

impl ToSchema for ProjectListSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "ProjectListMessage".into()
    }
}

/// An error of a call (RFC 9457), which says `"allow": false` so that a careless client denies.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "the description of what `problem` writes")]
pub(in crate::api) struct ProblemSchema {
    /// `urn:regate:problem:` and the code.
    r#type: String,
    title: String,
    status: u16,
    /// What is wrong, in words.
    detail: String,
    /// Stable.
    code: String,
    /// Always false.
    allow: bool,
    /// The policy's code, or regate's, of a call that was denied.
    reason: Option<String>,
    /// Where an import was refused.
    problems: Option<Vec<RefusedSchema>>,
    /// At which stage a policy was refused, and where.
    stage: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

/// A place in an import document, and what is wrong there.
#[derive(ToSchema)]
#[schema(as = Refused)]
#[allow(dead_code, reason = "the description of what `problem` writes")]
struct RefusedSchema {
    place: String,
    problem: String,
}

/// A document of many rows. Each list may be left out; their fields are those of the management API, with
/// `sha256` for tokens.
#[derive(ToSchema)]
#[schema(as = ImportMessage)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the description of what `store::import` reads")]
pub(in crate::api) struct ImportSchema {
    #[serde(default)]
    tenants: Vec<BTreeMap<String, serde_json::Value>>,
    #[serde(default)]
    users: Vec<BTreeMap<String, serde_json::Value>>,
    #[serde(default)]
    projects: Vec<BTreeMap<String, serde_json::Value>>,
    #[serde(default)]
    collaborators: Vec<BTreeMap<String, serde_json::Value>>,
    #[serde(default)]
    tokens: Vec<BTreeMap<String, serde_json::Value>>,
    #[serde(default)]
    upstreams: Vec<BTreeMap<String, serde_json::Value>>,
    #[serde(default)]
    grants: Vec<BTreeMap<String, serde_json::Value>>,
}
