//! What somebody else may read in a body that was allowed.

use std::{cell::Cell, fmt};

use proptest::{prelude::*, test_runner::TestRunner};
use regate::{
    decision::{Body, CompileOptions, facts::Fact},
    types::TokenKind,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::decisions::{World, compile, question, token, user};

/// JSON as it is written: members in their order, each as often as it comes.
enum Node {
    Object(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nodes;

        impl<'de> Visitor<'de> for Nodes {
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

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Node::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
                let mut object = Vec::new();
                while let Some(member) = members.next_entry()? {
                    object.push(member);
                }
                Ok(Node::Object(object))
            }
        }

        deserializer.deserialize_any(Nodes)
    }
}

/// Upper and lower case are one, and what is not ASCII or white space is not there.
fn folded(text: &str) -> String {
    text.to_lowercase().chars().filter(|c| c.is_ascii_graphic()).collect()
}

/// All members of this name, as somebody might read it.
fn members<'n>(object: &'n [(String, Node)], name: &str) -> impl Iterator<Item = &'n Node> {
    object.iter().filter(move |(key, _)| folded(key) == name).map(|(_, value)| value)
}

/// Every tool that a reader could take the body to call; `?` for one that it does not name.
fn called(node: &Node, tools: &mut Vec<String>) {
    match node {
        Node::List(items) => items.iter().for_each(|item| called(item, tools)),
        Node::Object(message) => {
            let calls = |method: &Node| matches!(method, Node::Text(text) if folded(text) == "tools/call");
            if !members(message, "method").any(calls) {
                return;
            }
            let before = tools.len();
            for params in members(message, "params") {
                let Node::Object(params) = params else { continue };
                tools.extend(members(params, "name").map(|name| match name {
                    Node::Text(name) => name.clone(),
                    _ => "?".to_owned(),
                }));
            }
            if tools.len() == before {
                tools.push("?".to_owned());
            }
        }
        Node::Text(_) | Node::Other => {}
    }
}

/// The first value of the text, whatever stands around it.
fn sloppy(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    let text = text.trim_start_matches(['\u{feff}', '\0', ' ', '\n']);
    let mut tools = Vec::new();
    for node in serde_json::Deserializer::from_str(text).into_iter::<Node>().map_while(Result::ok) {
        called(&node, &mut tools);
    }
    tools
}

/// A member of a message: often the right one, sometimes one that looks like it.
fn member() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        r#""name":"search""#,
        r#""name":"search""#,
        r#""name":"delete""#,
        r#""NAME":"delete""#,
        r#""n\u0061me":"delete""#,
        r#""name ":"delete""#,
        r#""name":["delete"]"#,
        r#""arguments":{"name":"delete"}"#,
        r#""_meta":{}"#,
    ]);
    let params =
        prop::collection::vec(name, 0..3).prop_map(|names| format!(r#""params":{{{}}}"#, names.join(",")));
    let plain = prop::sample::select(vec![
        r#""method":"tools/call""#,
        r#""method":"tools/call""#,
        r#""method":"ping""#,
        r#""method":"Tools/Call""#,
        r#""method":"tools/call ""#,
        r#""Method":"tools/call""#,
        r#""METHOD":"tools/call""#,
        r#""m\u0065thod":"tools\/call""#,
        r#""method":null"#,
        r#""params":[{"name":"delete"}]"#,
        r#""Params":{"name":"delete"}"#,
        r#""params":{"name":"search"}"#,
        r#""params":{"name":"search"}"#,
        r#""param\u017f":{"name":"delete"}"#,
        r#""result":{}"#,
        r#""error":{}"#,
        r#""id":null"#,
        r#""x":{"method":"tools/call"}"#,
    ])
    .prop_map(str::to_owned);
    prop_oneof![3 => plain, 2 => params]
}

fn message() -> impl Strategy<Value = String> {
    let any = prop::collection::vec(member(), 0..4).prop_map(|members| {
        let members: String = members.iter().map(|member| format!(",{member}")).collect();
        format!(r#"{{"jsonrpc":"2.0","id":1{members}}}"#)
    });
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}"#;
    prop_oneof![3 => any, 1 => Just(good.to_owned())]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let batch =
        prop::collection::vec(message(), 0..4).prop_map(|messages| format!("[{}]", messages.join(",")));
    let nested = message().prop_map(|message| format!("[[{message}]]"));
    let two = (message(), message()).prop_map(|(one, other)| format!("{one}{other}"));
    let marked = message().prop_map(|message| format!("\u{feff}{message}"));
    let text = prop_oneof![6 => message(), 4 => batch, 1 => nested, 1 => two, 1 => marked];
    // And a byte of it that is something else.
    let damaged = (text, prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())));
    let damaged = damaged.prop_map(|(text, damage)| {
        let mut bytes = text.into_bytes();
        if let Some((at, byte)) = damage.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![9 => damaged, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

#[test]
fn whoever_reads_an_allowed_body_finds_no_tool_off_the_list() {
    let mut limited = token("default", "t1", TokenKind::Mcp);
    limited.tools = Some(vec!["search".to_owned()]);
    let bundle = compile("package regate\n\ndecision := true", &CompileOptions::default()).unwrap();
    let mut world = World::new(bundle, [Fact::Token(limited), user("default", "u1")]);
    let (allowed_calls, denied_calls) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let world = std::cell::RefCell::new(&mut world);
    runner
        .run(&(body(), prop::sample::select(vec!["POST", "GET", "PUT"])), |(body, method)| {
            let mut asked = question(Some("t1"), "/mcp");
            asked.request.method = method.into();
            asked.body = Body::Whole(body.as_slice().into());
            let allow = world.borrow_mut().ask(&asked).allow;
            let tools = sloppy(&body);
            let count = if allow { &allowed_calls } else { &denied_calls };
            count.set(count.get() + usize::from(!tools.is_empty()));
            prop_assert!(
                !allow || tools.iter().all(|tool| tool == "search"),
                "{tools:?}: {}",
                String::from_utf8_lossy(&body)
            );
            Ok(())
        })
        .unwrap();
    // It is about something.
    assert!(allowed_calls.get() > 200 && denied_calls.get() > 200, "{allowed_calls:?} {denied_calls:?}");
}
