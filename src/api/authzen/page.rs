//! Where a search goes on.
//!
//! A token is the hash of the search and what was looked at last. Whoever changes it goes on somewhere else in the same
//! search: each result is decided all the same. What was looked at last stands in it as it is, permitted or not.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{
    failure::Failure,
    message::{self, Object},
};
use crate::{
    auth,
    decision::{Entity, Evaluation, Searched},
    types::TenantId,
};

/// Bytes of the hash that tie a token to its search.
const TIE: usize = 16;

/// What a page was asked for.
#[derive(Default)]
pub(super) struct PageAsked {
    /// Whether anything was said about pages.
    pub said: bool,
    /// Results at most.
    pub limit: Option<usize>,
    token: Option<String>,
}

impl PageAsked {
    /// Takes `page` out of a message (section 8.2.1).
    pub fn take(message: &mut Object) -> Result<Self, Failure> {
        let Some(mut page) = message::member(message, "page")? else { return Ok(Self::default()) };
        let limit = match page.remove("limit") {
            None | Some(Value::Null) => None,
            Some(limit) => {
                // As the description says it: 64 bits, with a sign that is not there. A page of nothing would never end.
                let limit =
                    limit.as_i64().and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0);
                let limit = limit.ok_or_else(|| {
                    Failure::malformed("page.limit: it has to be a whole number, 1 or more")
                })?;
                Some(usize::try_from(limit).unwrap_or(usize::MAX))
            }
        };
        let token = match page.remove("token") {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => Some(token),
            Some(_) => return Err(Failure::malformed("page.token: it has to be a text")),
        };
        Ok(Self { said: true, limit, token: token.filter(|token| !token.is_empty()) })
    }

    /// What was looked at last; `None` at the beginning.
    pub fn after(&self, tie: &Tie) -> Result<Option<String>, Failure> {
        let Some(token) = &self.token else { return Ok(None) };
        tie.read(token).ok_or_else(|| {
            Failure::malformed("page.token: it is not the next_token of this search; begin again without it")
        })
    }
}

/// What ties a token to its search.
pub(super) struct Tie([u8; TIE]);

impl Tie {
    /// The tie of a search. How long its pages are is not part of it: it may be left out when the search goes on.
    pub fn new<'a>(evaluation: &'a Evaluation<'_>, searched: Searched, tenant: &'a TenantId) -> Self {
        let Evaluation { subject, action, resource, context, .. } = evaluation;
        let entity = |entity: &'a Entity| (&*entity.kind, entity.id.as_deref(), &entity.properties);
        let action = action.as_ref().map(|action| (&*action.name, &action.properties));
        let search = (searched.as_str(), tenant.as_str(), entity(subject), action, entity(resource), context);
        // What came as JSON goes as JSON. If it ever did not, a token would be good for another search: no harm.
        let hash = auth::hash(&serde_json::to_string(&search).unwrap_or_default()).0;
        let mut tie = [0; TIE];
        tie.iter_mut().zip(hash).for_each(|(place, byte)| *place = byte);
        Self(tie)
    }

    /// The token for going on behind `last`; at the beginning there is none yet.
    pub fn token(&self, last: Option<&str>) -> String {
        let position = last.map_or(String::new(), |last| format!("+{last}"));
        URL_SAFE_NO_PAD.encode([&self.0[..], position.as_bytes()].concat())
    }

    /// The position of a token, if it is one of this search.
    fn read(&self, token: &str) -> Option<Option<String>> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let position = bytes.strip_prefix(&self.0[..])?;
        let position = std::str::from_utf8(position).ok()?;
        match position.strip_prefix('+') {
            Some(last) => Some(Some(last.to_owned())),
            None => position.is_empty().then_some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tie;

    #[test]
    fn a_token_is_read_by_its_own_search_alone() {
        let (tie, other) = (Tie([1; 16]), Tie([2; 16]));
        for last in [None, Some(""), Some("u1"), Some("+"), Some("\u{fc}/?")] {
            let token = tie.token(last);
            assert_eq!(tie.read(&token), Some(last.map(str::to_owned)));
            assert_eq!(other.read(&token), None);
            assert_eq!(tie.read(&token[1..]), None);
        }
        for token in ["x", "AQEBAQ", "not base64!", "AQEBAQEBAQEBAQEBAQEBAXUx"] {
            assert_eq!(tie.read(token), None, "{token}");
        }
    }
}
