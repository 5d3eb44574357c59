//! Whether a credential is given as its upstream wants it, in words that can name what is wanted.

use thiserror::Error;

use crate::{
    store::upstreams::UpstreamRow,
    types::upstream_rules::{PLACE, check_header_name},
    upstream::Given,
};

/// How a credential was given otherwise than its upstream wants it. Shows nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misgiven {
    /// A token where values of these headers are wanted.
    #[error("token: the upstream wants values of headers, and no token: give headers, with {}", .0.join(", "))]
    WantsHeaders(Vec<String>),
    /// A space before or behind it.
    #[error("token: it begins or ends with a space: leave the space away")]
    Spaces,
    /// It begins with what the format puts in front of it anyway.
    #[error("token: it begins with {0:?}, which the upstream's format puts in front of it: leave that away")]
    Prefixed(String),
}

/// Checks how a credential is given.
///
/// # Errors
/// [`Misgiven`].
pub fn check_given_form(upstream: &UpstreamRow, given: &Given) -> Result<(), Misgiven> {
    let Given::Token(token) = given else { return Ok(()) };
    if let Some(wanted) = &upstream.value_headers {
        return Err(Misgiven::WantsHeaders(wanted.clone()));
    }
    let text = token.expose();
    let inner = text.trim_matches([' ', '\t']);
    if inner != text && !inner.is_empty() {
        return Err(Misgiven::Spaces);
    }
    let (prefix, _) = upstream.format.split_once(PLACE).unwrap_or_default();
    // Letters alone are how a token may well begin by itself.
    let telling = prefix.bytes().any(|b| !b.is_ascii_alphanumeric());
    let begins = text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if telling && begins { Err(Misgiven::Prefixed(prefix.to_owned())) } else { Ok(()) }
}

/// Of the headers that were given, the names in lower case of those that the upstream does not ask for.
pub fn not_asked_for(upstream: &UpstreamRow, given: &Given) -> Vec<String> {
    let Given::Headers(headers) = given else { return Vec::new() };
    let own = [upstream.header.to_ascii_lowercase()];
    let wanted = upstream.value_headers.as_deref().unwrap_or(&own);
    let names = headers.iter().map(|(name, _)| name.trim().to_ascii_lowercase());
    // What is no header's name may be anything, a secret as well.
    names.filter(|name| !wanted.contains(name) && check_header_name(name).is_ok()).collect()
}
