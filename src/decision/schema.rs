//! The shape of `input` and of the database's documents, as the Rego contract names them: what
//! `regate check` holds references against, and what questions are generated from.
//!
//! [`input`](super::input) builds what stands here; a test holds the two to each other.

use crate::types::{HolderKind, TokenKind};

/// What may stand in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Anything: what is below cannot be known.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// An array whose items are all of one shape.
    List(&'static Shape),
    /// An object whose keys the data chooses, and whose values are all of one shape.
    Map(&'static Shape),
    /// An object with these fields and no other, in the order of their names.
    Object(&'static [(&'static str, Shape)]),
    /// `null`, or this.
    Nullable(&'static Shape),
}

/// The roles of collaborators.
pub const COLLABORATOR_ROLES: Shape = Shape::OneOf(&["administrator", "developer", "owner", "viewer"]);
/// The roles of users.
pub const USER_ROLES: Shape = Shape::OneOf(&["admin", "user", "viewer"]);
const TOKEN_KINDS: Shape = Shape::OneOf(&[
    TokenKind::Admin.as_str(),
    TokenKind::Gateway.as_str(),
    TokenKind::Global.as_str(),
    TokenKind::Mcp.as_str(),
    TokenKind::Project.as_str(),
    // Not a row of the data: a user's session, presented as a JWT.
    "session",
]);
const HOLDER_KINDS: Shape =
    Shape::OneOf(&[HolderKind::Shared.as_str(), HolderKind::Token.as_str(), HolderKind::User.as_str()]);
const TEXT_OR_NULL: Shape = Shape::Nullable(&Shape::Text);

/// `input`.
pub const INPUT: Shape = Shape::Object(&[
    // Of AuthZEN alone, as are `from_gateway`, `resource` and `subject`.
    ("action", Shape::Object(&[("name", Shape::Text)])),
    ("context", Shape::Any),
    (
        "from_gateway",
        Shape::Object(&[("action", Shape::Any), ("resource", Shape::Any), ("subject", Shape::Any)]),
    ),
    ("gateway", Shape::Nullable(&Shape::Object(&[("id", Shape::Text)]))),
    ("management", MANAGEMENT),
    ("mcp", Shape::Nullable(&MCP)),
    ("now", Shape::Number),
    ("request", REQUEST),
    ("resource", ENTITY),
    ("subject", ENTITY),
    ("token", Shape::Nullable(&TOKEN)),
    ("upstream", Shape::Nullable(&UPSTREAM)),
    ("user", Shape::Nullable(&USER)),
]);

const ENTITY: Shape = Shape::Object(&[("id", Shape::Text), ("type", Shape::Text)]);

/// The calls of the management API.
pub const OPERATIONS: [&str; 43] = [
    "collaborators.list",
    "collaborators.put",
    "collaborators.read",
    "collaborators.remove",
    "credentials.list",
    "credentials.put",
    "credentials.read",
    "credentials.remove",
    "decisions.list",
    "decisions.read",
    "explain",
    "flows.begin",
    "flows.cancel",
    "flows.complete",
    "flows.list",
    "import",
    "policies.read",
    "policies.reload",
    "projects.list",
    "projects.put",
    "projects.read",
    "projects.remove",
    "tokens.change",
    "tokens.grant_trigger",
    "tokens.list",
    "tokens.mint",
    "tokens.put_grants",
    "tokens.read",
    "tokens.read_grants",
    "tokens.revoke",
    "tokens.withdraw_trigger",
    "upstreams.list",
    "upstreams.put",
    "upstreams.put_client_secret",
    "upstreams.put_grants",
    "upstreams.read",
    "upstreams.read_grants",
    "upstreams.remove",
    "upstreams.remove_client_secret",
    "users.list",
    "users.put",
    "users.read",
    "users.remove",
];

// Of management calls alone.
const MANAGEMENT: Shape = Shape::Object(&[
    ("body", Shape::Any),
    (
        "holder",
        Shape::Nullable(&Shape::Object(&[
            ("id", TEXT_OR_NULL),
            ("kind", Shape::Nullable(&HOLDER_KINDS)),
            ("user_id", TEXT_OR_NULL),
        ])),
    ),
    ("operation", Shape::OneOf(&OPERATIONS)),
    (
        "token",
        Shape::Nullable(&Shape::Object(&[
            ("id", TEXT_OR_NULL),
            ("kind", Shape::Nullable(&TOKEN_KINDS)),
            ("project_id", TEXT_OR_NULL),
            ("user_id", TEXT_OR_NULL),
        ])),
    ),
    ("upstream", TEXT_OR_NULL),
]);

// The method of a response is null.
const MCP: Shape = Shape::Object(&[("method", TEXT_OR_NULL), ("params", Shape::Any), ("tool", TEXT_OR_NULL)]);

const REQUEST: Shape = Shape::Object(&[
    ("headers", Shape::Map(&Shape::Text)),
    ("host", TEXT_OR_NULL),
    ("method", Shape::Text),
    ("path", Shape::List(&Shape::Text)),
    ("query", Shape::Map(&Shape::List(&Shape::Text))),
    ("raw_path", Shape::Text),
    ("source_ip", TEXT_OR_NULL),
]);

const TOKEN: Shape = Shape::Object(&[
    ("allow_trigger", Shape::Boolean),
    // Of sessions alone: the claims of the JWT.
    ("claims", Shape::Any),
    ("expires_at", Shape::Nullable(&Shape::Number)),
    // Of a session its `jti`, which it may lack.
    ("id", TEXT_OR_NULL),
    ("kind", TOKEN_KINDS),
    ("project_id", TEXT_OR_NULL),
    ("projects", Shape::Nullable(&Shape::Map(&Shape::Nullable(&Shape::Number)))),
    ("scope_pull", Shape::Boolean),
    ("scope_push", Shape::Boolean),
    ("tenant", TEXT_OR_NULL),
    ("tools", Shape::Nullable(&Shape::List(&Shape::Text))),
    ("user_id", TEXT_OR_NULL),
]);

const UPSTREAM: Shape = Shape::Object(&[
    ("credential", Shape::OneOf(&["active", "expired", "missing", "none", "orphaned"])),
    ("granted", Shape::Boolean),
    ("id", Shape::Text),
]);

const USER: Shape = Shape::Object(&[("disabled", Shape::Boolean), ("id", Shape::Text), ("role", USER_ROLES)]);

/// The documents below `data` that come from the database, by name.
pub const DOCUMENTS: [(&str, Shape); 4] = [
    ("collaborators", Shape::Map(&Shape::Map(&Shape::Object(&[("role", COLLABORATOR_ROLES)])))),
    ("projects", Shape::Map(&Shape::Object(&[("name", Shape::Text), ("public", Shape::Boolean)]))),
    (
        "upstreams",
        Shape::Map(&Shape::Object(&[
            ("allow_all", Shape::Boolean),
            ("credential", Shape::OneOf(&["none", "per_token", "per_user", "shared"])),
        ])),
    ),
    ("users", Shape::Map(&Shape::Object(&[("disabled", Shape::Boolean), ("role", USER_ROLES)]))),
];

/// The shape of what stands below a shape under these names, whatever is on the way: objects by key, lists, what may
/// be null.
pub fn field(shape: &Shape, names: &[&str]) -> Option<Shape> {
    match shape {
        Shape::Nullable(inner) | Shape::Map(inner) | Shape::List(inner) => field(inner, names),
        Shape::Object(fields) => {
            let (name, rest) = names.split_first()?;
            let (_, shape) = fields.iter().find(|(known, _)| known == name)?;
            field(shape, rest)
        }
        shape => names.is_empty().then_some(*shape),
    }
}

#[cfg(test)]
mod tests {
    use super::{DOCUMENTS, INPUT, Shape};
    use crate::decision::DATABASE_DOCUMENTS;

    fn sorted(shape: &Shape) -> bool {
        match shape {
            Shape::Any | Shape::Boolean | Shape::Number | Shape::Text => true,
            Shape::OneOf(texts) => texts.is_sorted(),
            Shape::List(inner) | Shape::Map(inner) | Shape::Nullable(inner) => sorted(inner),
            Shape::Object(fields) => {
                fields.is_sorted_by_key(|(name, _)| *name) && fields.iter().all(|(_, shape)| sorted(shape))
            }
        }
    }

    #[test]
    fn fields_stand_in_the_order_of_their_names() {
        assert!(sorted(&INPUT));
        assert!(DOCUMENTS.iter().all(|(_, shape)| sorted(shape)));
    }

    #[test]
    fn every_document_of_the_database_has_a_shape() {
        let mut names = DATABASE_DOCUMENTS;
        names.sort_unstable();
        assert_eq!(DOCUMENTS.map(|(name, _)| name), names);
    }
}
