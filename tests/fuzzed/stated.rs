//! What the documentation says that a refusal may look like, and whether an answer is one of those.

use std::{collections::BTreeSet, sync::LazyLock};

use axum::http::StatusCode;
use serde_json::Value;

use super::world::Answer;

/// The status and the code of each problem in `docs/api.md`.
static PROBLEMS: LazyLock<BTreeSet<(u16, String)>> = LazyLock::new(|| {
    let page = include_str!("../../docs/api.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split('|').map(str::trim).collect();
        let code = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        Some((cells[0].parse().ok()?, code.to_owned()))
    });
    rows.collect()
});

/// The code and the status of each reason to deny in `docs/reasons.md`.
static DENIALS: LazyLock<BTreeSet<(u16, String)>> = LazyLock::new(|| {
    let page = include_str!("../../docs/reasons.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split('|').map(str::trim).collect();
        let code = cells[0].strip_prefix('`')?.strip_suffix('`')?;
        (*cells.get(1)? == "deny").then_some(())?;
        Some((cells.get(2)?.parse().ok()?, code.to_owned()))
    });
    rows.collect()
});

/// The rules never fail, and never take too long, whatever they are asked about.
const NEVER: [&str; 3] = ["policy.error", "policy.timeout", "audit.unavailable"];

/// A denial with this status, for this reason, is one of those that are documented.
pub fn assert_denial(status: u64, reason: &str) {
    assert!(!NEVER.contains(&reason), "denied with {reason}");
    // A denied anonymous caller is told 401 for whatever reason the rules had.
    let is_stated = u16::try_from(status).is_ok_and(|status| DENIALS.contains(&(status, reason.to_owned())));
    assert!(is_stated, "denied with {status} {reason}, which docs/reasons.md does not have");
}

/// A call that was answered with a problem is answered with one that is documented, which denies.
pub fn assert_problem(status: StatusCode, problem: &Value) {
    assert_eq!(problem["allow"], false, "a problem that does not deny");
    let code = problem["code"].as_str().expect("a problem without a code");
    // To a gateway's client a 401 of the gateway's own is a 403.
    let told = if (status, code) == (StatusCode::FORBIDDEN, "gateway.unauthenticated") {
        401
    } else {
        status.as_u16()
    };
    assert!(PROBLEMS.contains(&(told, code.to_owned())), "{told} {code}, which docs/api.md does not have");
}

/// The answer of a decision as `/v1/decide` writes it denies, and says why.
pub fn assert_denies(decision: &Value) {
    assert_eq!(decision["allow"], false, "allowed: {}", decision["reason"]);
    assert_denial(
        decision["status"].as_u64().expect("a status"),
        decision["reason"].as_str().expect("a reason"),
    );
    let removed = decision["headers"]["remove"].as_array().expect("headers to remove");
    assert!(removed.iter().any(|name| name == "authorization"), "authorization goes on");
}

/// The answer of a sub-request face denies, and is one of those that are documented. `status`: what it comes to.
pub fn assert_refuses(answer: &Answer, status: StatusCode) {
    assert!(status.is_client_error() || status.is_server_error(), "let through with {status}");
    let reason = answer.header("x-regate-reason").expect("a refusal without a reason");
    if PROBLEMS.iter().any(|(_, code)| code == reason) && answer.records.is_empty() {
        let told = if (status, reason) == (StatusCode::FORBIDDEN, "gateway.unauthenticated") {
            401
        } else {
            status.as_u16()
        };
        assert!(
            PROBLEMS.contains(&(told, reason.to_owned())),
            "{told} {reason}, which docs/api.md does not have"
        );
    } else {
        assert_denial(u64::from(status.as_u16()), reason);
    }
    for record in &answer.records {
        assert_eq!(record["decision"]["allow"], false, "recorded as allowed");
    }
}
