//! Tokens that are limited to a list of tools.

use std::sync::Arc;

use super::{
    Document,
    caller::Caller,
    challenge::is_scope,
    outcome::AskedMessage,
    question::{Body, Mcp, Request},
};
use crate::types::TokenKind;

/// The method that calls a tool.
const CALL: &str = "tools/call";
/// A longer name of a tool is not told in a challenge. (MCP 2025-11-25, "Tools": names SHOULD have 1 to 128 characters.)
const LONGEST_NAME: usize = 128;

/// Whether the list of the caller's token, if it has one, lets this request through. Rules are asked as well; they
/// cannot give what the list does not have.
///
/// A call of a tool must be of one on the list. What other messages do, rules decide. A request whose message is not
/// known may call anything, so it is refused; but the requests of MCP's transport that carry none, where it is seen that they do.
pub(super) fn lets_through(
    caller: Option<Caller<'_>>,
    method: &str,
    request: &Request<'_>,
    body: &Body<'_>,
    message: Option<&Mcp<'_>>,
) -> bool {
    let Some(Caller::Token(token)) = caller else { return true };
    let tools = match &token.tools {
        Document::Null => return true,
        Document::Array(tools) => tools.as_slice(),
        _ => return false,
    };
    let Some(Mcp { method: called, .. }) = message else {
        let seen = !matches!(body, Body::Unseen);
        return token.kind == TokenKind::Mcp && seen && carries_none(method, request);
    };
    // An answer to what the server asked.
    let Some(called) = called else { return true };
    // Somebody behind the gateway may not be strict about it: what is no plain name may be read as another.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_/.$-".contains(&b);
    if !called.bytes().all(plain) {
        return false;
    }
    if called != CALL {
        return !is_nearly_a_call(called);
    }
    name(message).is_some_and(|name| tools.binary_search(name).is_ok())
}

/// Whether somebody could take a method for a call of a tool that is not spelt as one: in other letters, behind a prefix, by
/// a path that leads there.
fn is_nearly_a_call(called: &str) -> bool {
    let words: Vec<&str> =
        called.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.windows(2).any(|pair| pair.join("/").eq_ignore_ascii_case(CALL))
}

/// The scope that a token without it would need to make this call, where the tool's name can stand in one.
pub(super) fn scope(message: Option<&Mcp<'_>>) -> Option<Arc<str>> {
    if message?.method.as_ref()? != CALL {
        return None;
    }
    match name(message)? {
        Document::String(name) if name.len() <= LONGEST_NAME && is_scope(name) => {
            Some(format!("tools:{name}").into())
        }
        _ => None,
    }
}

impl From<&Mcp<'_>> for AskedMessage {
    fn from(message: &Mcp<'_>) -> Self {
        let is_call = message.method.as_deref() == Some(CALL);
        let tool = match name(Some(message)).filter(|_| is_call) {
            Some(Document::String(tool)) => Some(Arc::clone(tool)),
            _ => None,
        };
        let members = message.params.as_object().map_or(0, |params| params.len());
        let has_more = members > usize::from(tool.is_some());
        Self { method: message.method.as_deref().map(Arc::from), tool, has_more }
    }
}

/// The name in a message's parameters, if it is a text.
fn name<'m>(message: Option<&'m Mcp<'_>>) -> Option<&'m Document> {
    let Document::Object(params) = &message?.params else { return None };
    params.get(&Document::from("name")).filter(|name| matches!(name, Document::String(_)))
}

/// Whether the request is one of those of MCP's transport that carry no message: it opens a stream with GET, and ends a
/// session with DELETE (MCP 2025-11-25, "Streamable HTTP"). Not if a header says that there is a body, which nobody has
/// read, or makes another method of it; nor if it opens another protocol, in which anything may be said.
fn carries_none(method: &str, request: &Request<'_>) -> bool {
    let says_more = |name: &str, value: &str| match name.replace('_', "-").as_str() {
        "x-http-method-override" | "x-method-override" | "x-http-method" | "transfer-encoding" => true,
        "upgrade" | "http2-settings" => true,
        "content-length" => value.trim() != "0",
        name => name.starts_with("sec-websocket-"),
    };
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE")
        && !request.headers.iter().any(|(name, value)| says_more(name, value))
}
