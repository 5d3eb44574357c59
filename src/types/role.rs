//! What a user is within the organisation.

use serde::{Deserialize, Serialize};

/// What a user is within the organisation; rights on a project come from being a collaborator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// An ordinary user.
    #[default]
    User,
    /// May look at administration, not change it.
    Viewer,
    /// Administers the organisation.
    Admin,
}

impl UserRole {
    /// Every role, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::User, Self::Viewer, Self::Admin];

    /// The name used on the wire, in the store and in Rego.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }

    /// The value with that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "user" => Some(Self::User),
            "viewer" => Some(Self::Viewer),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}
