//! How a client hears how often it may: `RateLimit-Policy`, `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10) and
//! `Retry-After` (RFC 9110 section 10.2.3), on the faces whose answer reaches it.

use std::fmt::Write as _;

use axum::http::{HeaderName, header};

use crate::decision::Decision;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// Names and values; none where nothing was counted.
pub(super) fn of(decision: &Decision) -> Vec<(HeaderName, String)> {
    let (mut policies, mut states) = (String::new(), String::new());
    for limit in &decision.limits {
        let Some(state) = limit.state else { continue };
        if !policies.is_empty() {
            policies.push_str(", ");
            states.push_str(", ");
        }
        let (name, quota, window) = (&limit.name, limit.limit, limit.window.as_secs());
        let (remaining, reset) = (state.remaining, state.reset_seconds());
        // To write into a text never fails. The name is plain ASCII without quotation marks.
        let _ = write!(policies, "\"{name}\";q={quota};w={window}");
        let _ = write!(states, "\"{name}\";r={remaining};t={reset}");
    }
    if policies.is_empty() {
        return Vec::new();
    }
    let later = decision.retry_after().map(|seconds| (header::RETRY_AFTER, seconds.to_string()));
    [(POLICY, policies), (STATE, states)].into_iter().chain(later).collect()
}
