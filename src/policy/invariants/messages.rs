//! Makes up MCP messages: methods that MCP has, and some that it has not.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value as Json, json};

use super::case::Case;

/// The requests of MCP 2025-11-25 that a client sends to a server.
const REQUESTS: [&str; 17] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tools/call",
    "tools/list",
];
/// The last two are none of MCP's.
const OTHERS: [&str; 4] = ["notifications/initialized", "notifications/x", "tools/delete", "Tools/Call"];

/// The tool that [`sorts`] call.
pub(super) const TOOL: &str = "x";

/// A method, none of a response, and parameters.
pub(super) type Message = (Option<String>, Json);

/// Whether a text that policies name is the method of a message, and so no route of that form.
pub(super) fn is_method(text: &str) -> bool {
    REQUESTS.contains(&text) || text.starts_with("notifications/")
}

/// No message, usually. The tools that are called are those of the token's list, and `word`.
pub(super) fn message(case: &Case, word: String, random: &mut StdRng) -> Option<Message> {
    if random.random_bool(0.8) {
        return None;
    }
    let method = match random.random_range(0..10) {
        0 => return Some((None, Json::Null)),
        1..5 => "tools/call",
        5..8 => REQUESTS.choose(random)?,
        _ => OTHERS.choose(random)?,
    };
    let listed = case.token.as_ref().and_then(|token| token.tools.as_ref()?.choose(random));
    let tool = listed.cloned().filter(|_| random.random_bool(0.5)).unwrap_or(word);
    let params = if method == "tools/call" { json!({"name": tool}) } else { json!({}) };
    Some((Some(method.to_owned()), params))
}

/// One of each sort that policies tell apart.
pub(super) fn sorts() -> [Message; 3] {
    let called = |method: &str, params| (Some(method.to_owned()), params);
    [(None, Json::Null), called("x", json!({})), called("tools/call", json!({"name": TOOL}))]
}
