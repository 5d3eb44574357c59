//! What is sealed, as two columns: the key's id in hex, and nonce and ciphertext in base64. Nothing here can open it.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    store::{database::Row, load::Unreadable},
    types::{KeyId, Sealed},
};

/// The text of the column that holds nonce and ciphertext.
pub(in crate::store) fn to_text(sealed: &Sealed) -> String {
    STANDARD.encode(&sealed.bytes)
}

/// What is sealed, from the two columns that begin at `column` and are not NULL.
///
/// INVARIANT: what cannot be read is something that no key opens, and never stops a load: whoever opens it finds that
/// out, reports it, and treats it as absent.
pub(in crate::store) fn read(row: &dyn Row, column: usize) -> Result<Sealed, Unreadable> {
    read_optional(row, column)?.ok_or_else(|| Unreadable(format!("column {column} is empty")))
}

/// The same from columns that may be NULL.
pub(in crate::store) fn read_optional(row: &dyn Row, column: usize) -> Result<Option<Sealed>, Unreadable> {
    let key = row.text(column)?.map(|text| text.parse().unwrap_or(KeyId([0; 8])));
    let bytes = row.text(column + 1)?.map(|text| STANDARD.decode(text).unwrap_or_default());
    Ok(match (key, bytes) {
        (Some(key), Some(bytes)) => Some(Sealed { key, bytes: bytes.into() }),
        _ => None,
    })
}
