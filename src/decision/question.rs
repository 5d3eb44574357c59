//! What a gateway asks, in the form that every face of regate brings it to.

use std::{borrow::Cow, sync::Arc};

use super::Document;
use crate::types::{PresentedCredential, TenantId};

/// May this caller do this? Borrowed from the message that asked, where it can be.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// What the caller presented.
    pub credential: PresentedCredential,
    /// The request that the gateway holds.
    pub request: Request<'a>,
    /// The id of the upstream that the request would go to.
    pub upstream: Option<Cow<'a, str>>,
    /// The MCP message in the request's body.
    pub mcp: Option<Mcp<'a>>,
    /// Anything else that the gateway said. Untrusted: it comes from the gateway, not from regate's data.
    pub context: Document,
    /// Who asks, if it authenticated.
    pub gateway: Option<&'a AskingGateway>,
    /// Whether the answer carries what the policy saw and what it gave.
    pub explain: bool,
}

/// The request to decide about. The path is not yet read, the method not yet upper-cased.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// As the client sent it.
    pub method: Cow<'a, str>,
    /// The request target, path and query, as the client sent it: undecoded.
    pub target: Cow<'a, str>,
    /// The host that the client named.
    pub host: Option<Cow<'a, str>>,
    /// The headers, without the caller's credential.
    pub headers: Headers<'a>,
    /// The client's address, as the gateway says.
    pub source_ip: Option<Cow<'a, str>>,
}

/// An MCP message.
#[derive(Clone, Debug)]
pub struct Mcp<'a> {
    /// The JSON-RPC method.
    pub method: Cow<'a, str>,
    /// The JSON-RPC parameters.
    pub params: Document,
}

/// A gateway that authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskingGateway {
    /// The id of its token.
    pub id: Arc<str>,
    /// The one tenant that it speaks for; `None` speaks for all.
    pub tenant: Option<TenantId>,
}

/// Request headers: names in lower case, each once, the caller's `authorization` kept apart so that
/// no rule, message or record can show it.
#[derive(Clone, Debug, Default)]
pub struct Headers<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Headers<'a> {
    /// Takes one header. A name that came before is joined to it as RFC 9110 section 5.2 says
    /// (cookies with `; `, as RFC 9113 section 8.2.3 says). The caller's credential does not
    /// belong here: see [`is_credential`](Self::is_credential).
    pub fn add(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        let name = if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            name
        };
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, joined)) => {
                let separator = if name == "cookie" { "; " } else { ", " };
                *joined = Cow::Owned([joined, separator, &value].concat());
            }
            None => self.fields.push((name, value)),
        }
    }

    /// Whether a header of this name, in any case, carries the caller's credential.
    pub fn is_credential(name: &str) -> bool {
        name.eq_ignore_ascii_case("authorization")
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn a_header_sent_twice_is_joined_whatever_its_case() {
        let mut headers = Headers::default();
        for (name, value) in [("X-A", "1"), ("Cookie", "a=b"), ("x-a", "2"), ("cookie", "c=d")] {
            headers.add(name.into(), value.into());
        }
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("x-a", "1, 2"), ("cookie", "a=b; c=d")]);
    }
}
