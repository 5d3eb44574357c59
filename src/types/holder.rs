//! Whose an upstream credential is.

/// What kind of holder an upstream credential has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HolderKind {
    /// Nobody in particular: one for all.
    Shared,
    /// A token.
    Token,
    /// A user.
    User,
}

impl HolderKind {
    /// Every kind, in the order of their names.
    pub const ALL: [Self; 3] = [Self::Shared, Self::Token, Self::User];

    /// The name used on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Token => "token",
            Self::User => "user",
        }
    }

    /// The kind with that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Whose an upstream credential is, within a tenant and for one upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// Nobody in particular: one for all.
    Shared,
    /// The token with this id.
    Token(String),
    /// The user with this id.
    User(String),
}

impl Holder {
    /// The holder of this kind; the id of a shared one is not looked at.
    pub fn new(kind: HolderKind, id: &str) -> Self {
        match kind {
            HolderKind::Shared => Self::Shared,
            HolderKind::Token => Self::Token(id.to_owned()),
            HolderKind::User => Self::User(id.to_owned()),
        }
    }

    /// What kind of holder it is.
    pub const fn kind(&self) -> HolderKind {
        match self {
            Self::Shared => HolderKind::Shared,
            Self::Token(_) => HolderKind::Token,
            Self::User(_) => HolderKind::User,
        }
    }

    /// Its id; empty for a shared one.
    pub fn id(&self) -> &str {
        match self {
            Self::Shared => "",
            Self::Token(id) | Self::User(id) => id,
        }
    }
}
