//! Tokens that are limited to a list of tools.

use super::{Document, caller::Caller, question::Question};
use crate::types::TokenKind;

/// Whether the list of the caller's token, if it has one, lets this request through. Rules are asked as well; they
/// cannot give what the list does not have.
///
/// A call of a tool must be of one on the list. What other messages do, rules decide. A request whose message is not
/// known may call anything, so it is refused; but the requests of MCP's transport that carry none (it opens a stream
/// with GET, and ends a session with DELETE: MCP 2025-11-25, "Streamable HTTP").
pub(super) fn lets_through(caller: Option<Caller<'_>>, method: &str, question: &Question<'_>) -> bool {
    let Some(Caller::Token(token)) = caller else { return true };
    let tools = match &token.tools {
        Document::Null => return true,
        Document::Array(tools) => tools.as_slice(),
        _ => return false,
    };
    let Some(mcp) = &question.mcp else {
        return token.kind == TokenKind::Mcp && matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE");
    };
    // Somebody behind the gateway may not be strict about it: what is no plain name may be read as another.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_/.$-".contains(&b);
    if !mcp.method.bytes().all(plain) {
        return false;
    }
    if !mcp.method.eq_ignore_ascii_case("tools/call") {
        return true;
    }
    let Document::Object(params) = &mcp.params else { return false };
    match params.get(&Document::from("name")) {
        Some(name @ Document::String(_)) => tools.binary_search(name).is_ok(),
        _ => false,
    }
}
