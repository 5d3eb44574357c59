//! What a gateway asks, in the form that every face of regate brings it to.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{Document, abilities::GatewayAbilities};
use crate::types::{PresentedCredential, TenantId};

/// May this caller do this? Borrowed from the message that asked, where it can be.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// By which way it came, such as `/v1/decide`. For the record: rules do not see it.
    pub face: &'static str,
    /// What the caller presented.
    pub credential: PresentedCredential,
    /// The request that the gateway holds.
    pub request: Request<'a>,
    /// The id of the upstream that the request would go to.
    pub upstream: Option<Cow<'a, str>>,
    /// The MCP messages in the request's body, where the gateway has read them: it tells no body beside them.
    pub mcp: Vec<Mcp<'a>>,
    /// The request's body, as far as the gateway told it. Only that of an MCP endpoint is looked at.
    pub body: Body<'a>,
    /// Anything else that the gateway said. Untrusted: it comes from the gateway, not from regate's data.
    pub context: Document,
    /// Who asks, if it authenticated.
    pub gateway: Option<&'a AskingGateway>,
    /// Whether the answer carries what the policy saw and what it gave.
    pub explain: bool,
    /// Whether the answer may carry an upstream credential.
    pub delivery: Delivery,
    /// What who asks can do with headers; `None` can do everything.
    pub abilities: Option<&'a dyn GatewayAbilities>,
}

impl Question<'_> {
    /// Whether it is about more than one message, or may be: the rules are asked about each, and that takes its time.
    pub fn is_long(&self) -> bool {
        let is_list = match &self.body {
            Body::Whole(bytes) => bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'['),
            Body::Untold | Body::Unseen | Body::Cut => false,
        };
        is_list || self.mcp.len() > 1
    }
}

/// Whether an answer may carry an upstream credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// It may: who asks is a gateway that authenticated, and nobody else reads what it is told.
    Given,
    /// It may not, and a request that needs one is denied.
    #[default]
    Refused,
    /// It does not, since no request goes on by it: the question only asks what would be. Whether there is a credential
    /// that opens is looked at all the same.
    Withheld,
    /// The same where there are no keys: a credential that is there is taken to open.
    Assumed,
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

/// The body of a request. `Debug` does not show it.
#[derive(Clone, Default)]
pub enum Body<'a> {
    /// The gateway does not say.
    #[default]
    Untold,
    /// The gateway does not say, nor whether there is one: its headers do not tell either.
    Unseen,
    /// All of it.
    Whole(Cow<'a, [u8]>),
    /// More came than the gateway tells: what was not seen cannot be judged.
    Cut,
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untold => f.write_str("Untold"),
            Self::Unseen => f.write_str("Unseen"),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Cut => f.write_str("Cut"),
        }
    }
}

/// An MCP message.
#[derive(Clone, Debug)]
pub struct Mcp<'a> {
    /// The JSON-RPC method; of a response none.
    pub method: Option<Cow<'a, str>>,
    /// The JSON-RPC parameters.
    pub params: Document,
}

impl Mcp<'_> {
    /// What a call of a tool gives as the tool's name, whatever it is.
    pub(super) fn tool(&self) -> Option<&Document> {
        match &self.params {
            Document::Object(params) if self.method.as_deref() == Some("tools/call") => {
                params.get(&Document::from("name"))
            }
            _ => None,
        }
    }
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
    /// Takes headers as they were sent, in order. Those of one name, in any case, are joined as RFC
    /// 9110 section 5.2 says (cookies with `; `, as RFC 9113 section 8.2.3 says). The caller's
    /// credential does not belong here: see [`is_credential`](Self::is_credential).
    pub fn new(mut fields: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Self {
        for (name, _) in &mut fields {
            if name.bytes().any(|b| b.is_ascii_uppercase()) {
                name.to_mut().make_ascii_lowercase();
            }
        }
        // A stable sort brings equal names together in the order in which they came, and costs
        // little however many there are.
        fields.sort_by(|(left, _), (right, _)| left.cmp(right));
        fields.dedup_by(|(name, value), (kept, joined)| {
            let same = name == kept;
            if same {
                let joined = joined.to_mut();
                joined.push_str(if name == "cookie" { "; " } else { ", " });
                joined.push_str(value);
            }
            same
        });
        Self { fields }
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
        let sent = [("X-A", "1"), ("Cookie", "a=b"), ("x-a", "2"), ("cookie", "c=d"), ("X-a", "3")];
        let headers = Headers::new(sent.map(|(name, value)| (name.into(), value.into())).into());
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("cookie", "a=b; c=d"), ("x-a", "1, 2, 3")]);
    }
}
