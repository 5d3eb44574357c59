//! The question: whatever is posted to `/v1/decide` without a credential that may do something is not allowed, and is
//! answered as the documentation says.

use axum::http::StatusCode;
use serde_json::Value;

use super::{
    faces::{Said, said_by_decide},
    stated::{assert_denies, assert_problem},
    world::post,
};

/// What the bytes are: the body.
pub fn holds(body: &[u8]) {
    let answer = post("/v1/decide", body.to_vec());
    let said = said_by_decide(&answer);
    assert!(!said.allows(), "a question without rights is allowed");
    if answer.status == StatusCode::OK {
        // What explains went another way than what decided, and must have come to the same.
        assert!(answer.json()["explanation"]["why"]["disagreement"].is_null(), "the two engines disagree");
    }
    twice_in_a_batch(body, &said);
    let explained = post("/v1/explain", body.to_vec());
    assert_eq!(explained.status, StatusCode::UNAUTHORIZED, "explained to nobody");
    assert_problem(explained.status, &explained.json());
}

fn twice_in_a_batch(body: &[u8], alone: &Said) {
    let batch = [b"{\"requests\":[", body, b",", body, b"]}"].concat();
    let answer = post("/v1/decide/batch", batch);
    let told: Value = answer.json();
    if answer.status != StatusCode::OK {
        assert_problem(answer.status, &told);
        let is_too_much = matches!(told["code"].as_str(), Some("question.too_deep" | "body.too_large"));
        assert!(is_too_much || *alone == Said::Refused, "refused in a batch, and not alone");
        return;
    }
    let decisions = told["decisions"].as_array().expect("decisions");
    assert_eq!(decisions.len(), answer.records.len(), "as many records as decisions");
    for (decision, record) in decisions.iter().zip(&answer.records) {
        assert_denies(decision);
        assert_eq!(record["decision"]["reason"], decision["reason"], "recorded otherwise than answered");
        if let Said::Denied(reason) = alone {
            assert_eq!(decision["reason"], reason.as_str(), "decided otherwise in a batch");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{
        faces::{Said, said_by_decide},
        world::{MAY_NOTHING, READER, post},
    };

    #[test]
    fn a_credential_with_rights_is_allowed_and_those_without_are_known() {
        let ask = |token: &str| {
            let path = "/api/v1/projects/website";
            let question = json!({"token": token, "request": {"method": "GET", "path": path}});
            said_by_decide(&post("/v1/decide", question.to_string()))
        };
        assert_eq!(ask(READER), Said::Allowed);
        for token in MAY_NOTHING {
            assert!(matches!(ask(token), Said::Denied(reason) if reason != "token.unknown"), "{token}");
        }
    }
}
