//! From Envoy's `CheckRequest` to the request that it holds. Whatever is missing, or said twice in different words, makes
//! it unreadable: it is never guessed which of two Envoy goes on with.

use std::borrow::Cow;

use envoy_types::pb::envoy::config::core::v3::{HeaderValue, address::Address};
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Peer},
};
use serde_json::{Map, Value as Json};

use super::{
    super::{
        HttpBounds,
        held::{Asked, HeldRequest},
        problem::Problem,
    },
    grpc_values,
};
use crate::{
    decision::{Body, Headers, document},
    types::TenantId,
};

/// What Envoy asks about.
pub(super) struct CheckedRequest<'m> {
    pub held: HeldRequest<'m>,
    pub asked: Asked<'m>,
    /// The one tenant that the route is for.
    pub tenant: Option<TenantId>,
    /// Whether a denial is said as a JSON-RPC error.
    pub json_rpc_errors: bool,
}

type Fields<'m> = Vec<(Cow<'m, str>, Cow<'m, str>)>;

impl<'m> CheckedRequest<'m> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Problem::Malformed`]; [`Problem::TooDeep`].
    pub fn read(message: &'m CheckRequest, bounds: &HttpBounds) -> Result<Self, Problem> {
        let attributes = message.attributes.as_ref().ok_or_else(|| missing("attributes"))?;
        let request = attributes.request.as_ref().ok_or_else(|| missing("attributes.request"))?;
        let http = request.http.as_ref().ok_or_else(|| missing("attributes.request.http"))?;
        if http.method.is_empty() {
            return Err(missing("attributes.request.http.method"));
        }
        if http.path.is_empty() {
            return Err(missing("attributes.request.http.path"));
        }
        // The query belongs into the path; whoever also says it apart must say the same.
        let query = http.path.split_once('?').map_or("", |(_, query)| query);
        if !http.query.is_empty() && http.query != query {
            return Err(contradiction("http.query", "http.path"));
        }
        let mut headers = headers(http)?;
        check_same(&headers, http)?;
        let body = body(http, &headers)?;
        headers.retain(|(name, _)| !name.starts_with(':') && !is_partial_body(name));
        let source = attributes.source.as_ref();
        let Extensions { upstream, tenant, json_rpc_errors, context } =
            Extensions::read(attributes, http, bounds)?;
        let held = HeldRequest {
            method: Cow::Borrowed(&http.method),
            target: Cow::Borrowed(&http.path),
            host: Some(http.host.as_str()).filter(|host| !host.is_empty()).map(Cow::Borrowed),
            headers,
            source_ip: source.and_then(address).map(Cow::Borrowed),
            body,
        };
        let context = Some(document(Json::Object(context)));
        let asked = Asked { upstream: upstream.map(Cow::Borrowed), context, ..Asked::default() };
        Ok(Self { held, asked, tenant, json_rpc_errors })
    }
}

fn missing(part: &str) -> Problem {
    Problem::Malformed(format!("{part} is missing"))
}

fn contradiction(one: &str, other: &str) -> Problem {
    Problem::Malformed(format!("{one} and {other} contradict each other"))
}

/// The headers, pseudo-headers among them, in one of the two forms in which Envoy tells them.
fn headers(http: &HttpRequest) -> Result<Fields<'_>, Problem> {
    let raw = http.header_map.as_ref().map_or(&[][..], |map| &map.headers);
    if raw.is_empty() {
        let mut fields: Fields<'_> = http
            .headers
            .iter()
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value.as_str())))
            .collect();
        // A map has no order: the same message is to be the same question.
        fields.sort_unstable();
        return Ok(fields);
    }
    if !http.headers.is_empty() {
        return Err(contradiction("http.headers", "http.header_map"));
    }
    raw.iter().map(raw_header).collect()
}

fn raw_header(header: &HeaderValue) -> Result<(Cow<'_, str>, Cow<'_, str>), Problem> {
    let HeaderValue { key, value, raw_value } = header;
    let value = match (value.as_str(), raw_value.as_slice()) {
        (text, b"") => Cow::Borrowed(text),
        ("", raw) => match std::str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            // A credential that is there is never nothing, and never another one.
            Err(_) if Headers::is_credential(key) => Cow::Borrowed(""),
            Err(_) => String::from_utf8_lossy(raw),
        },
        _ => return Err(contradiction("http.header_map: value", "raw_value")),
    };
    Ok((Cow::Borrowed(key.as_str()), value))
}

/// Whether the pseudo-headers, and a `host` beside them, say what the message says.
fn check_same(headers: &Fields<'_>, http: &HttpRequest) -> Result<(), Problem> {
    for (name, value) in headers {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let (part, same) = if is(":method") {
            ("http.method", *value == http.method)
        } else if is(":path") {
            ("http.path", *value == http.path)
        } else if is(":authority") || is("host") {
            ("http.host", http.host.is_empty() || value.eq_ignore_ascii_case(&http.host))
        } else if is(":scheme") {
            ("http.scheme", http.scheme.is_empty() || *value == http.scheme)
        } else {
            continue;
        };
        if !same {
            return Err(contradiction(part, name));
        }
    }
    Ok(())
}

/// Whether Envoy says in this header whether the body is cut. The word after `x-` is `envoy`, or the prefix that its
/// bootstrap sets in its place.
pub(super) fn is_partial_body(name: &str) -> bool {
    name.starts_with("x-") && name.ends_with("-auth-partial-body")
}

/// What the message tells of the body.
fn body<'m>(http: &'m HttpRequest, headers: &Fields<'_>) -> Result<Body<'m>, Problem> {
    let bytes = match (http.body.as_bytes(), http.raw_body.as_slice()) {
        (b"", raw) => raw,
        (text, b"") => text,
        _ => return Err(contradiction("http.body", "http.raw_body")),
    };
    let mut told = false;
    let mut cut = false;
    let mut chunked = false;
    let mut length = None;
    for (name, value) in headers {
        if is_partial_body(name) {
            told = true;
            cut |= value != "false";
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = true;
        } else if name.eq_ignore_ascii_case("content-length") {
            let number = value.parse::<u64>().ok().filter(|_| value.bytes().all(|b| b.is_ascii_digit()));
            let number =
                number.ok_or_else(|| Problem::Malformed("content-length is not a number".to_owned()))?;
            if length.is_some_and(|other| other != number) {
                return Err(contradiction("content-length", "content-length"));
            }
            length = Some(number);
        }
    }
    let has = bytes.len() as u64;
    Ok(match length {
        _ if cut => Body::Cut,
        Some(length) if length < has => return Err(contradiction("content-length", "the body")),
        // No `with_request_body`: Envoy sent the header on without the body.
        Some(length) if length > has => {
            if has == 0 && !told {
                Body::Untold
            } else {
                Body::Cut
            }
        }
        None if has == 0 && !told => Body::Untold,
        // Some proxies announce nothing and send in pieces.
        Some(_) if has == 0 && !told && chunked => Body::Untold,
        Some(_) | None => Body::Whole(Cow::Borrowed(bytes)),
    })
}

fn address(peer: &Peer) -> Option<&str> {
    match peer.address.as_ref()?.address.as_ref()? {
        Address::SocketAddress(socket) => Some(socket.address.as_str()).filter(|text| !text.is_empty()),
        Address::Pipe(_) | Address::EnvoyInternalAddress(_) => None,
    }
}

/// What the route's own configuration says, and what of it rules see.
struct Extensions<'m> {
    upstream: Option<&'m str>,
    tenant: Option<TenantId>,
    json_rpc_errors: bool,
    context: Map<String, Json>,
}

impl<'m> Extensions<'m> {
    fn read(
        attributes: &'m AttributeContext,
        http: &HttpRequest,
        bounds: &HttpBounds,
    ) -> Result<Self, Problem> {
        let mut read = Self { upstream: None, tenant: None, json_rpc_errors: false, context: Map::new() };
        let mut others = Map::new();
        for (name, value) in &attributes.context_extensions {
            match name.as_str() {
                "upstream" => read.upstream = Some(value),
                "tenant" => {
                    let tenant = TenantId::try_from(value.as_str());
                    read.tenant = Some(tenant.map_err(|error| {
                        Problem::Malformed(format!("context_extensions.tenant: {error}"))
                    })?);
                }
                "json_rpc_errors" => {
                    read.json_rpc_errors = match value.as_str() {
                        "true" => true,
                        "false" => false,
                        _ => {
                            let text = "context_extensions.json_rpc_errors is neither \"true\" nor \"false\"";
                            return Err(Problem::Malformed(text.to_owned()));
                        }
                    };
                }
                _ => {
                    others.insert(name.clone(), Json::from(value.as_str()));
                }
            }
        }
        let metadata = match &attributes.metadata_context {
            Some(metadata) => grpc_values::objects(&metadata.filter_metadata, bounds.nesting)?,
            None => Map::new(),
        };
        let principal = attributes.source.as_ref().map_or("", |source| &source.principal);
        for (name, value) in [("principal", principal), ("scheme", &http.scheme)] {
            if !value.is_empty() {
                read.context.insert(name.to_owned(), Json::from(value));
            }
        }
        for (name, object) in [("context_extensions", others), ("metadata_context", metadata)] {
            if !object.is_empty() {
                read.context.insert(name.to_owned(), Json::Object(object));
            }
        }
        Ok(read)
    }
}
