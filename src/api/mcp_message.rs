//! MCP messages as a gateway tells them in a question: one, or the list of them that a batch is. Each may be the JSON-RPC
//! message as it came (MCP 2025-11-25, "Base protocol"), or only what is judged of it: its method and parameters.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    bounds::HttpBounds,
    json_rpc::{Asking, RequestId},
    problem::Problem,
};
use crate::{
    decision::{InvalidMcp, Mcp, MessageId, MessageMembers},
    types::{JsonObject, one_reading},
};

/// One message, or a batch.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum McpMessages<'a> {
    One(McpMessage<'a>),
    Batch(Vec<McpMessage<'a>>),
}

/// An MCP message: a request, a notification or a response.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct McpMessage<'a> {
    /// `"2.0"`, if it is there.
    #[serde(default, rename = "jsonrpc", deserialize_with = "version")]
    #[schema(value_type = Option<String>)]
    _version: (),
    /// A text or a number; not looked at, but for answering it.
    #[serde(borrow, default, deserialize_with = "there")]
    #[schema(value_type = Option<serde_json::Value>)]
    id: Option<&'a RawValue>,
    /// Of a request or a notification.
    #[serde(borrow, default, deserialize_with = "text")]
    #[schema(value_type = Option<String>)]
    method: Option<Cow<'a, str>>,
    /// An object.
    #[serde(borrow, default)]
    #[schema(value_type = Option<serde_json::Value>)]
    params: Option<&'a RawValue>,
    /// Of a response; not looked at.
    #[serde(default, deserialize_with = "anything")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: bool,
    /// Of a response; not looked at.
    #[serde(default, deserialize_with = "anything")]
    #[schema(value_type = Option<serde_json::Value>)]
    error: bool,
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    /// There is one.
    #[derive(Deserialize)]
    enum Version {
        #[serde(rename = "2.0")]
        Two,
    }
    Version::deserialize(deserializer).map(|Version::Two| ())
}

/// A member that is there, `null` or not.
fn there<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn text<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    /// (serde borrows a `Cow` only where it is told to.)
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Text::deserialize(deserializer).map(|text| Some(text.0))
}

fn anything<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'de: 'a, 'a> Deserialize<'de> for McpMessages<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Messages;

        impl<'de> Visitor<'de> for Messages {
            type Value = McpMessages<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message or a list of messages")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                McpMessage::deserialize(MapAccessDeserializer::new(members)).map(McpMessages::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut messages = Vec::new();
                while let Some(JsonObject(message)) = list.next_element()? {
                    messages.push(message);
                }
                Ok(McpMessages::Batch(messages))
            }
        }

        deserializer.deserialize_any(Messages)
    }
}

impl<'a> McpMessages<'a> {
    /// The messages, each checked.
    ///
    /// # Errors
    /// [`Problem::Malformed`], with the place.
    pub fn read(self, bounds: &HttpBounds) -> Result<Vec<Mcp<'a>>, Problem> {
        match self {
            Self::One(message) => Ok(vec![message.read(bounds, "mcp")?]),
            Self::Batch(messages) if Mcp::BATCH.contains(&messages.len()) => {
                let read = |(index, message): (usize, McpMessage<'a>)| {
                    message.read(bounds, &format!("mcp[{index}]"))
                };
                messages.into_iter().enumerate().map(read).collect()
            }
            Self::Batch(_) => Err(Problem::Malformed(format!("mcp: {}", InvalidMcp::BatchLength))),
        }
    }

    /// How often rules are asked.
    pub fn judged(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Batch(messages) => messages.len().max(1),
        }
    }

    /// Who among them waits for an answer.
    pub fn asking(&self) -> Asking<'a> {
        match self {
            Self::One(message) => Asking::One(message.request()),
            Self::Batch(messages) => Asking::Batch(messages.iter().filter_map(McpMessage::request).collect()),
        }
    }
}

impl<'a> McpMessage<'a> {
    fn read(self, bounds: &HttpBounds, place: &str) -> Result<Mcp<'a>, Problem> {
        let malformed = |problem: &str| Problem::Malformed(format!("{place}{problem}"));
        // What is judged here is what somebody else carries out.
        let params = match self.params {
            None => None,
            Some(raw) => {
                let params = one_reading(raw.get().as_bytes(), bounds.nesting);
                Some(params.ok_or_else(|| malformed(".params: a member comes twice"))?)
            }
        };
        let id = self.id.map_or(MessageId::Absent, kind);
        let members =
            MessageMembers { id, method: self.method, params, result: self.result, error: self.error };
        members.into_message().map_err(|invalid| match invalid {
            InvalidMcp::LookAlike => malformed(&format!(".params: {invalid}")),
            invalid => malformed(&format!(": {invalid}")),
        })
    }

    fn request(&self) -> Option<RequestId<'a>> {
        let id = self.id.filter(|id| kind(id) == MessageId::Given)?;
        self.method.as_ref().map(|_| RequestId::new(id))
    }
}

/// What kind of value stands there, by its first byte.
fn kind(id: &RawValue) -> MessageId {
    match id.get().as_bytes().first() {
        Some(b'"' | b'-' | b'0'..=b'9') => MessageId::Given,
        Some(b'n') => MessageId::Null,
        _ => MessageId::Other,
    }
}
