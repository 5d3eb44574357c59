//! What is shown of a decision that flips. Never a credential: none of the headers, nothing of the query (a token
//! may stand there), and no part of the path that looks like a token.

use serde::Serialize;

use crate::{
    auth::{self, TokenFormat},
    decision::{Decision, Question, Subject, Why},
    policy::replay::{Comparison, Explained},
    types::Timestamp,
};

/// What stands in the place of a secret, as in explanations.
const HIDDEN: &str = "[masked]";

/// A flip.
#[derive(Serialize)]
pub(super) struct Flip<'a> {
    pub file: &'a str,
    pub line: u64,
    pub time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<&'a str>,
    pub change: &'static str,
    pub method: &'a str,
    pub path: String,
    pub subject: Option<FlipSubject<'a>>,
    pub before: FlipAnswer<'a>,
    pub after: FlipAnswer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<FlipExplanation<'a>>,
    #[serde(skip)]
    pub explained: Option<&'a Explained>,
}

/// Whose request it is.
#[derive(Serialize)]
pub(super) struct FlipSubject<'a> {
    pub kind: &'static str,
    pub token_id: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub tenant: Option<&'a str>,
}

/// One of its two answers.
#[derive(Serialize)]
pub(super) struct FlipAnswer<'a> {
    pub allow: bool,
    pub reason: &'a str,
    pub message: &'a str,
}

/// Why, rule by rule.
#[derive(Serialize)]
pub(super) struct FlipExplanation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a Why>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a Why>,
}

impl<'a> Flip<'a> {
    /// The flip of a line.
    pub(super) fn new(
        (file, line): (&'a str, u64),
        now: Option<Timestamp>,
        question: &'a Question<'_>,
        comparison: &'a Comparison,
        explained: Option<&'a Explained>,
    ) -> Self {
        let Comparison { before, after, decision_id, .. } = comparison;
        let why = |decision: &'a Decision| decision.explanation.as_ref().map(|explanation| &explanation.why);
        Self {
            file,
            line,
            time: now.map(|now| now.to_string()).unwrap_or_default(),
            decision_id: decision_id.as_deref(),
            change: comparison.change().as_str(),
            method: question.request.method.as_ref(),
            path: without_secrets(&question.request.target),
            subject: after.subject.as_ref().map(FlipSubject::from),
            before: FlipAnswer { allow: before.allow(), reason: before.reason(), message: before.message() },
            after: FlipAnswer {
                allow: after.allow,
                reason: after.reasons.first.as_str(),
                message: after.message.as_str(),
            },
            fault: after.fault.as_ref().map(ToString::to_string),
            explanation: explained.map(|explained| FlipExplanation {
                before: explained.before.as_ref().and_then(why),
                after: why(&explained.after),
            }),
            explained,
        }
    }
}

impl<'a> From<&'a Subject> for FlipSubject<'a> {
    fn from(subject: &'a Subject) -> Self {
        Self {
            kind: subject.kind.as_str(),
            token_id: subject.token_id.as_deref(),
            user_id: subject.user_id.as_deref(),
            tenant: subject.tenant.as_ref().map(|tenant| tenant.as_str()),
        }
    }
}

/// The path alone, and that there was a query.
fn without_secrets(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, _)) => (path, "?…"),
        None => (target, ""),
    };
    let segments = path.split('/').map(|segment| match auth::identify(segment) {
        TokenFormat::Regate(_) | TokenFormat::Broken(_) => HIDDEN,
        TokenFormat::Foreign => segment,
    });
    segments.collect::<Vec<_>>().join("/") + query
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn no_token_is_shown_wherever_it_stands_in_a_path() {
        assert_eq!(without_secrets("/a/b?access_token=k"), "/a/b?…");
        assert_eq!(without_secrets("/hooks/rgt_global_abc/x"), "/hooks/[masked]/x");
        assert_eq!(without_secrets("/a/"), "/a/");
    }
}
