//! `[http]`: the listener for HTTP, and the bounds of both listeners.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    listeners::socket_mode,
    reference,
    sections::{duration, parse_duration},
};
use crate::api::{HttpBounds, ListenOptions};

/// `[http]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSection {
    /// `ADDRESS:PORT`, or `unix:PATH`, to listen on. Port 0 takes a free one.
    pub listen: String,
    /// The permissions of a Unix socket's file, in octal.
    #[serde(deserialize_with = "socket_mode", serialize_with = "reference::in_octal")]
    #[schemars(schema_with = "reference::text")]
    pub socket_mode: u32,
    /// Bytes of a request's body.
    #[schemars(range(min = 1_024, max = 67_108_864))]
    pub max_body_bytes: usize,
    /// Bytes of all names and values of headers, of a call and of the request within a question.
    #[schemars(range(min = 1_024, max = 1_048_576))]
    pub max_header_bytes: usize,
    /// Bytes of the path within a question.
    pub max_path_bytes: usize,
    /// Bytes of the token within a question.
    pub max_token_bytes: usize,
    /// Questions in a batch.
    pub max_batch_length: usize,
    /// Levels of arrays and objects in a body.
    #[schemars(range(min = 3, max = 120))]
    pub max_nesting: usize,
    /// Connections at a time, of each listener. More wait to be accepted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// How long a request's body may take to arrive, and the client to take the answer.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub receive_time: Duration,
    /// How long a connection may be idle, or take to send a request's header.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub idle_time: Duration,
    /// How long a question with `min_revision` waits for that revision.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub revision_wait: Duration,
    /// How long connections are still accepted when `/ready` has turned to say that the process ends. `0s`: not at
    /// all.
    #[serde(deserialize_with = "duration_or_none", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub drain_delay: Duration,
}

impl Default for HttpSection {
    fn default() -> Self {
        let bounds = HttpBounds::default();
        Self {
            listen: "127.0.0.1:8181".into(),
            socket_mode: ListenOptions::default().socket_mode,
            max_body_bytes: bounds.body_bytes,
            max_header_bytes: bounds.header_bytes,
            max_path_bytes: bounds.path_bytes,
            max_token_bytes: bounds.token_bytes,
            max_batch_length: bounds.batch_length,
            max_nesting: bounds.nesting,
            max_connections: bounds.connections,
            receive_time: bounds.receive_time,
            idle_time: bounds.idle_time,
            revision_wait: bounds.revision_wait,
            drain_delay: Duration::ZERO,
        }
    }
}

/// A time, or `0s`.
fn duration_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "0s" {
        return Ok(Duration::ZERO);
    }
    parse_duration(&text).map_err(D::Error::custom)
}
