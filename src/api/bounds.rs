//! What one message may cost. Each bound has a default, a key in the configuration and an error.

use std::time::Duration;

/// The bounds of the HTTP listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpBounds {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Bytes of all header names and values, of the call itself and of the request within a question.
    pub header_bytes: usize,
    /// Bytes of the path within a question.
    pub path_bytes: usize,
    /// Bytes of the token within a question.
    pub token_bytes: usize,
    /// Questions in a batch.
    pub batch_length: usize,
    /// Levels of arrays and objects in a body. At most [`HttpBounds::DEEPEST_NESTING`].
    pub nesting: usize,
    /// Time to receive the body of a request, and for the client to take a piece of the answer.
    pub receive_time: Duration,
    /// Time to receive the header of a request, from the moment at which the connection is free for
    /// it: so long a connection may also be idle. Longer than gateways keep theirs (nginx: 60 s), so
    /// that it is they who close.
    pub idle_time: Duration,
    /// How long a question with `min_revision` waits.
    pub revision_wait: Duration,
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
}

impl HttpBounds {
    /// The JSON reader's own limit lies behind it.
    pub const DEEPEST_NESTING: usize = 120;
}

impl Default for HttpBounds {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            header_bytes: 32 * 1024,
            path_bytes: 16 * 1024,
            token_bytes: 16 * 1024,
            batch_length: 100,
            nesting: 64,
            receive_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            revision_wait: Duration::from_secs(2),
            connections: 16_384,
        }
    }
}
