//! One JSON document that is written whole or not at all.
//!
//! **For:** [`parse`] reads it, [`check`] finds every problem that the document alone shows
//! ([`check_within`] the same for a document that must stay within one tenant),
//! [`Store::import`](super::Store::import) finds those that only the store shows (references, taken
//! ids and hashes), then writes it in one transaction. Problems name their place, such as
//! `tokens[3].expires_at`, and never repeat a token's hash.
//!
//! **To add a field:** in `document`, its rule in `entries`, its column in `schema`, a line in the
//! table of bad documents in `tests/store/import.rs`.

mod check;
mod document;
mod entries;
mod problems;
mod rules;
mod upstream_entry;
mod within;
pub(super) mod write;

pub use check::{CheckedDocument, check, check_within};
pub use document::{
    CollaboratorEntry, GrantEntry, HashText, ImportDocument, ProjectEntry, ProjectList, TenantChoice,
    TenantEntry, TokenEntry, UpstreamEntry, UserEntry,
};
pub use problems::{Problem, Problems};
pub use write::{ImportError, ImportProgress, ImportReport, TableReport};

use crate::types::{JsonObject, without_values};

/// Reads a document. Types, unknown fields and missing ones are checked here, and the first such
/// problem is given; it has the place in the document, or the line and column when the text is not
/// JSON.
///
/// # Errors
/// The one problem found.
pub fn parse(bytes: &[u8]) -> Result<ImportDocument, Problems> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let JsonObject(document) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let place = match error.path().to_string() {
            // The place of a member without a name has none either.
            path if path.is_empty() || path == "." => "document".to_owned(),
            path => path,
        };
        Problems::one(place, without_values(&error.into_inner().to_string()))
    })?;
    deserializer.end().map_err(|error| Problems::one("document".to_owned(), error.to_string()))?;
    Ok(document)
}
