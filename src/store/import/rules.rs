//! The rules for single values. Each adds its problem and gives `None`, so that the next value is
//! looked at as well.

use std::fmt;

use super::{document::HashText, problems::Problems};
use crate::{
    store::time,
    types::{InvalidText, TenantId, TokenHash, check_id, check_name, check_text},
};

/// A place in the document: a row of a list, and a field of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub list: &'static str,
    pub row: usize,
    pub field: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}].{}", self.list, self.row, self.field)
    }
}

/// A row of the document whose fields are looked at, and where its problems go.
pub(super) struct Looking<'a> {
    pub list: &'static str,
    pub row: usize,
    pub problems: &'a mut Problems,
}

impl Looking<'_> {
    /// Adds a problem of `field`.
    pub(super) fn refuse(&mut self, field: &str, text: &str) {
        let (list, row) = (self.list, self.row);
        self.problems.add(|| format!("{list}[{row}].{field}"), || text.to_owned());
    }

    /// The tenant of a row that may leave it out.
    pub(super) fn tenant(&mut self, tenant: Option<&str>) -> Option<TenantId> {
        match tenant.map(TenantId::try_from) {
            None => Some(TenantId::default_tenant()),
            Some(Ok(tenant)) => Some(tenant),
            Some(Err(error)) => {
                self.refuse("tenant", &error.to_string());
                None
            }
        }
    }

    /// An id, see [`check_id`].
    pub(super) fn id(&mut self, field: &str, id: &str) -> Option<String> {
        self.checked(field, id, check_id(id))
    }

    /// An id that may be left out.
    pub(super) fn optional_id(&mut self, field: &str, id: Option<&str>) -> Option<Option<String>> {
        id.map_or(Some(None), |id| self.id(field, id).map(Some))
    }

    /// The name of a token, see [`check_name`].
    pub(super) fn token_name(&mut self, name: &str) -> Option<String> {
        self.checked("name", name, check_name(name))
    }

    /// A text of 1 to `longest` characters, none of them a control character.
    pub(super) fn text(&mut self, field: &str, text: &str, longest: usize) -> Option<String> {
        self.checked(field, text, check_text(text, longest))
    }

    fn checked(&mut self, field: &str, text: &str, outcome: Result<(), InvalidText>) -> Option<String> {
        match outcome {
            Ok(()) => Some(text.to_owned()),
            Err(error) => {
                self.refuse(field, &error.to_string());
                None
            }
        }
    }

    /// One of several names.
    pub(super) fn name<T>(&mut self, field: &str, value: Option<T>, names: &str) -> Option<T> {
        if value.is_none() {
            self.refuse(field, &format!("it must be one of {names}"));
        }
        value
    }

    /// A time that may be left out, as it is stored.
    pub(super) fn time(&mut self, field: &str, text: Option<&str>) -> Option<Option<String>> {
        let Some(text) = text else { return Some(None) };
        let read = time::parse(text);
        if read.is_none() {
            self.refuse(
                field,
                "it must be a time as in RFC 3339, with its offset, such as 2030-01-01T00:00:00Z",
            );
        }
        read.map(|time| Some(time::to_text(time)))
    }

    /// A hash, in either case.
    pub(super) fn hash(&mut self, field: &str, text: &HashText) -> Option<TokenHash> {
        let hash = text.0.to_ascii_lowercase().parse().ok();
        if hash.is_none() {
            // The text is not repeated: it may be a token, put here by mistake.
            self.refuse(field, "it must be the token's SHA-256: 64 hex digits");
        }
        hash
    }
}
