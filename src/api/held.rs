//! The request that a gateway holds, as every face brings it: from here on all ways to ask are one.
//!
//! The types here hold the caller's credential: none of them has `Debug`.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName};

use super::{Channel, bounds::HttpBounds, problem::Problem};
use crate::{
    auth::CredentialReader,
    decision::{AskingGateway, Body, Delivery, Document, GatewayAbilities, Headers, Mcp, Question, Request},
};

/// The header in which a gateway says who it is, where `Authorization` is the caller's: the bare token.
pub const GATEWAY_HEADER: HeaderName = HeaderName::from_static("x-regate-gateway-token");

/// Who asks, and what the answer may carry.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    face: &'static str,
    gateway: Option<&'a AskingGateway>,
    delivery: Delivery,
    abilities: Option<&'a dyn GatewayAbilities>,
}

impl<'a> Asker<'a> {
    /// A gateway, or somebody who need not say who they are, who asks at `face`.
    ///
    /// INVARIANT: an upstream credential is told to a gateway that authenticated, where nobody else can read it.
    pub fn at_the_gate(face: &'static str, gateway: Option<&'a AskingGateway>, channel: Channel) -> Self {
        let private = match channel {
            Channel::Loopback | Channel::Tls | Channel::Unix => true,
            Channel::Plain => false,
        };
        let delivery = if gateway.is_some() && private { Delivery::Given } else { Delivery::Refused };
        Self { face, gateway, delivery, abilities: None }
    }

    /// Somebody who only wants to know what would be.
    pub const fn wondering(gateway: Option<&'a AskingGateway>) -> Self {
        Self { face: "/v1/explain", gateway, delivery: Delivery::Withheld, abilities: None }
    }

    /// The same where there are no keys that open credentials.
    pub const fn offline(gateway: Option<&'a AskingGateway>) -> Self {
        Self { face: "offline", gateway, delivery: Delivery::Assumed, abilities: None }
    }

    /// The same, who cannot make every change of headers.
    pub(super) fn able(self, abilities: &'a dyn GatewayAbilities) -> Self {
        Self { abilities: Some(abilities), ..self }
    }
}

/// The request as the client sent it to the gateway. Nothing of it has been read yet.
pub(super) struct HeldRequest<'a> {
    pub method: Cow<'a, str>,
    /// Path and query, undecoded.
    pub target: Cow<'a, str>,
    pub host: Option<Cow<'a, str>>,
    /// In the order in which they came, the caller's `authorization` among them; a name may come twice.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub source_ip: Option<Cow<'a, str>>,
    pub body: Body<'a>,
}

/// What a gateway says beside the request.
#[derive(Default)]
pub(super) struct Asked<'a> {
    /// The caller's bare credential.
    pub token: Option<Cow<'a, str>>,
    /// The id of the upstream that the request would go to.
    pub upstream: Option<Cow<'a, str>>,
    /// The MCP messages in the body, where the gateway has read them.
    pub mcp: Vec<Mcp<'a>>,
    /// Untrusted: an object; none is an empty one.
    pub context: Option<Document>,
    pub explain: bool,
}

impl<'a> HeldRequest<'a> {
    /// The same, of a gateway that sends the method on as it is. It is judged in upper case, so a server that tells `get`
    /// from `GET` would be sent another than was judged.
    ///
    /// # Errors
    /// [`Problem::Malformed`] for a method with lower-case letters.
    pub fn sent_on(self) -> Result<Self, Problem> {
        if self.method.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(Problem::Malformed("the method has letters in lower case".to_owned()));
        }
        Ok(self)
    }

    /// The headers of a message, but for those named in `without`. A value that is no text has its bytes beyond ASCII
    /// replaced; as a credential it is malformed.
    pub fn headers_of(headers: &'a HeaderMap, without: &[HeaderName]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        let kept = headers.iter().filter(|(name, _)| !without.contains(name));
        kept.map(|(name, value)| {
            let value = match value.to_str() {
                Ok(value) => Cow::Borrowed(value),
                // A credential that is there is never nothing, and never another one.
                Err(_) if Headers::is_credential(name.as_str()) => Cow::Borrowed(""),
                Err(_) => String::from_utf8_lossy(value.as_bytes()),
            };
            (Cow::Borrowed(name.as_str()), value)
        })
        .collect()
    }

    /// Checks the parts against the bounds, reads the credential, and gives the question that is left.
    ///
    /// # Errors
    /// [`Problem::PartTooLong`]; [`Problem::Malformed`] for a header that HTTP could not carry, and for a host that is
    /// not one.
    pub fn into_question<'q>(
        self,
        asked: Asked<'a>,
        asker: Asker<'q>,
        bounds: &HttpBounds,
        credentials: &CredentialReader,
    ) -> Result<Question<'q>, Problem>
    where
        'a: 'q,
    {
        let Self { method, target, host, headers, source_ip, body } = self;
        let too_long = |part: &'static str, limit| Problem::PartTooLong { part: part.into(), limit };
        if target.len() > bounds.path_bytes {
            return Err(too_long("request.path", bounds.path_bytes));
        }
        if host.as_deref().is_some_and(|host| !is_one_host(host)) {
            return Err(Problem::Malformed("request.host is not the name of one host".to_owned()));
        }
        let header_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if header_bytes > bounds.header_bytes {
            return Err(too_long("request.headers", bounds.header_bytes));
        }
        if asked.token.as_ref().is_some_and(|token| token.len() > bounds.token_bytes) {
            return Err(too_long("token", bounds.token_bytes));
        }
        for (index, (name, value)) in headers.iter().enumerate() {
            if !is_header(name, value) {
                let text =
                    format!("request.headers: number {} is not a header that HTTP could carry", index + 1);
                return Err(Problem::Malformed(text));
            }
        }
        let authorization =
            headers.iter().filter(|(name, _)| Headers::is_credential(name)).map(|(_, value)| value.as_ref());
        let credential = credentials.read(asked.token.as_deref(), authorization);
        let mut kept = headers;
        kept.retain(|(name, _)| !Headers::is_credential(name));
        let context = asked.context.unwrap_or_else(Document::new_object);
        Ok(Question {
            face: asker.face,
            credential,
            request: Request { method, target, host, headers: Headers::new(kept), source_ip },
            upstream: asked.upstream,
            mcp: asked.mcp,
            body,
            context,
            gateway: asker.gateway,
            explain: asked.explain,
            delivery: asker.delivery,
            abilities: asker.abilities,
        })
    }
}

/// Whether this names one host (RFC 9110 section 7.2). Some gateways join two `Host` headers with a comma, and go on.
fn is_one_host(host: &str) -> bool {
    let elsewhere = |c: char| c.is_whitespace() || c.is_control() || ",/\\@?#\"".contains(c);
    !host.contains(elsewhere)
}

/// Whether HTTP could carry this header (RFC 9110 sections 5.1 and 5.5). A name with a space behind it
/// or a value with a line break in it is another header to another program.
fn is_header(name: &str, value: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token) && !value.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0))
}
