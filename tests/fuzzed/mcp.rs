//! MCP bodies: an agent that is limited to one tool calls no other, whatever the server behind the gateway makes of the
//! body.

use std::fmt;

use axum::{body::Body, http::Request};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{
    faces::{Held, Said, envoy, ext_authz, forward_auth, nginx, said_by_decide, said_by_status},
    world::{AGENT, Answer, GATEWAY, ask, post},
};

/// What the bytes are: the body of a POST to the MCP endpoint.
pub fn holds(body: &[u8]) {
    let read: Option<Node> = serde_json::from_slice(body).ok();
    let authorization = format!("Bearer {AGENT}");
    let held = Held { method: "POST", target: b"/mcp", authorization: &[authorization.as_bytes()], body };
    let shown = [forward_auth(held), nginx(held), ext_authz(held), envoy(held)].map(Option::unwrap);
    for (face, said) in shown.iter().enumerate() {
        assert!(!said.allows() || is_harmless(read.as_ref()), "face {face} lets another call through");
        let agree = body.is_empty() || !shown.iter().any(|other| said.contradicts(other));
        assert!(agree, "face {face} decides otherwise: {shown:?}");
    }
    if read.is_some() {
        let body = std::str::from_utf8(body).unwrap();
        // Told by a gateway that has read the body.
        let question =
            format!(r#"{{"token":"{AGENT}","request":{{"method":"POST","path":"/mcp"}},"mcp":{body}}}"#);
        let told = said_by_decide(&post("/v1/decide", question));
        assert!(!told.allows() || is_harmless(read.as_ref()), "another call is let through");
    }
    assert_json_rpc_error(&as_json_rpc(body), &shown[0]);
}

fn as_json_rpc(body: &[u8]) -> Answer {
    let request = Request::post("/v1/forward-auth?upstream=-&json_rpc_errors=true")
        .header("x-regate-gateway-token", GATEWAY)
        .header("x-forwarded-method", "POST")
        .header("x-forwarded-uri", "/mcp")
        .header("x-forwarded-host", "api.example")
        .header("x-forwarded-for", "192.0.2.7")
        .header("authorization", format!("Bearer {AGENT}"));
    ask(request.body(Body::from(body.to_vec())).unwrap())
}

/// What a denied agent gets is a JSON-RPC error, or a list of them, and says what was decided.
fn assert_json_rpc_error(answer: &Answer, said: &Said) {
    assert_eq!(
        said_by_status(answer, answer.status),
        *said,
        "decided otherwise when errors are to be JSON-RPC"
    );
    let Said::Denied(reason) = said else { return };
    let told = answer.json();
    let errors = told.as_array().map_or(std::slice::from_ref(&told), Vec::as_slice);
    assert!(!errors.is_empty(), "no error at all");
    for error in errors {
        let code = &error["error"]["code"];
        assert_eq!(error["jsonrpc"], "2.0");
        assert!([-32_700, -32_600, -32_003].iter().any(|known| code == known), "the code {code}");
        assert_eq!(error["error"]["data"]["reason"], reason.as_str());
        assert!(
            matches!(error["id"], Value::Null | Value::String(_) | Value::Number(_)),
            "an id of no such type"
        );
    }
}

/// JSON as it stands: of two members of one name, both.
#[derive(Debug)]
enum Node {
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
    Other,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsItStands;

        impl<'de> Visitor<'de> for AsItStands {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(Node::List(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Node::Object(members))
            }
        }

        deserializer.deserialize_any(AsItStands)
    }
}

impl Node {
    /// Everything that some reader takes for this member: the first or the last of several, whatever the case, with blanks
    /// around it or characters in it that have no width.
    fn members<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        let members = match self {
            Self::Object(members) => members.as_slice(),
            _ => &[],
        };
        let is_meant = move |key: &str| {
            let seen = key.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !is_invisible(*c));
            seen.flat_map(folded).eq(name.chars())
        };
        members.iter().filter(move |(key, _)| is_meant(key)).map(|(_, node)| node)
    }

    fn is_text(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// A character as a reader that does not tell letters apart takes it.
fn folded(c: char) -> impl Iterator<Item = char> {
    let plain = match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        // Fullwidth forms stand in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => other,
    };
    plain.to_lowercase()
}

/// Whether a body calls nothing but the one tool, however it is read. What is not JSON may be anything.
fn is_harmless(body: Option<&Node>) -> bool {
    match body {
        None => false,
        Some(Node::List(messages)) => !messages.is_empty() && messages.iter().all(calls_nothing_else),
        Some(message) => calls_nothing_else(message),
    }
}

fn calls_nothing_else(message: &Node) -> bool {
    if !matches!(message, Node::Object(_)) {
        return false;
    }
    let calls = message.members("method").any(|method| method.is_text("tools/call"));
    let mut names = message.members("params").flat_map(|params| params.members("name")).peekable();
    !calls || (names.peek().is_some() && names.all(|name| name.is_text("search")))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            faces::{Held, Said, forward_auth},
            world::AGENT,
        },
        Node, is_harmless,
    };

    fn is(body: &str) -> bool {
        is_harmless(serde_json::from_str::<Node>(body).ok().as_ref())
    }

    #[test]
    fn the_agent_searches_and_a_body_with_another_reading_would_be_noticed() {
        let authorization = format!("Bearer {AGENT}");
        let ask = |body: &str| {
            let (target, body) = (&b"/mcp"[..], body.as_bytes());
            let held = Held { method: "POST", target, authorization: &[authorization.as_bytes()], body };
            forward_auth(held).unwrap()
        };
        let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}"#;
        assert!(is(good) && is(&format!("[{good}]")) && is(r#"{"method":"ping"}"#));
        assert_eq!(ask(good), Said::Allowed);
        for bad in [
            r#"{"method":"tools/call","params":{"name":"remove"}}"#,
            r#"{"method":"tools/call","params":{"name":"search","name":"remove"}}"#,
            r#"{"method":"tools/call","params":{"name":"search","NA\u200bME":"remove"}}"#,
            r#"{"method":"ping","\uff2dethod":"tools/call","params":{"name":"remove"}}"#,
            r#"{"method":"tools/call","params":{}}"#,
            r#"[{"method":"ping"},{"method":"tools/call","params":{"name":"remove"}}]"#,
            r#"[[{"method":"ping"}]]"#,
            "[]",
            "1",
            "{",
        ] {
            assert!(!is(bad), "{bad}");
            assert!(!ask(bad).allows(), "{bad}");
        }
    }
}
