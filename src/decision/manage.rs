//! Whether a caller may make a call of regate's own management API: a decision of the bundle at its
//! management entrypoint, over the call's own method and path, within what regate holds every bundle to.

use uuid::Uuid;

use super::{
    Document,
    basis::Basis,
    bundle::Entrypoint,
    caller::{Caller, is_expired, resolve},
    decide::{DecisionRules, Draft, Moment, upper_case},
    evaluator::Evaluator,
    input::InputParts,
    outcome::{Decision, Fault, Message, Subject},
    path::RequestPath,
    question::Question,
    reason::OwnReason,
    snapshot::TokenRecord,
    verdict::Verdict,
};
use crate::types::TokenKind;

/// Decides about a call of the management API. Never fails: what goes wrong is a deny with its reason.
///
/// The question is the call itself; an upstream or MCP message in it is not looked at. No path is public
/// here, and nobody is anonymous.
///
/// INVARIANT: only tokens of operators and sessions of users manage, whatever the bundle says.
pub fn manage(
    evaluator: &mut Evaluator,
    basis: &Basis,
    rules: &DecisionRules,
    question: &Question<'_>,
    id: Uuid,
    moment: Moment,
) -> Decision {
    let draft = Draft { basis, id, subject: None };
    let path = match RequestPath::read(&question.request.target, rules.path) {
        Ok(path) => path,
        Err(ambiguous) => {
            let message = Message::Own(ambiguous.to_string().into());
            return Decision { message, ..draft.refuse(OwnReason::AmbiguousPath) };
        }
    };
    if moment.data_is_stale {
        return draft.refuse(OwnReason::DataStale);
    }
    if let Some(gateway) = gateway(basis, question, moment) {
        return Draft { subject: Some(gateway.into()), ..draft }.refuse(OwnReason::ManagementTokenKind);
    }
    let caller = match resolve(basis.snapshot(), question, moment.now) {
        Ok(Some(caller)) => caller,
        Ok(None) => return draft.refuse(OwnReason::TokenMissing),
        Err((reason, caller)) => return Draft { subject: caller.map(Subject::from), ..draft }.refuse(reason),
    };
    let draft = Draft { subject: Some(Subject::from(caller)), ..draft };
    if !may_manage(caller) {
        return draft.refuse(OwnReason::ManagementTokenKind);
    }
    let tenant = basis.tenant(caller.tenant().unwrap_or(&rules.default_tenant));
    let user = match caller.user(tenant) {
        Ok(user) => user,
        Err(reason) => return draft.refuse(reason),
    };
    if !basis.bundle().has(Entrypoint::Management) {
        // Such a bundle leaves management to admin tokens. Nothing of it says that a disabled operator is none
        // any more, so it is said here.
        let row = user.and_then(|user| user.row);
        let disabled = row.is_some_and(|row| row["disabled"] != Document::from(false));
        let allow = matches!(caller, Caller::Token(_)) && !disabled;
        let decision = draft.refuse(if allow { OwnReason::PolicyAllowed } else { OwnReason::NoRuleMatched });
        return Decision { allow, ..decision };
    }
    let method = upper_case(&question.request.method);
    let now = moment.now.unix_seconds();
    let parts = InputParts {
        question,
        method: &method,
        path: &path,
        caller: Some(caller),
        user,
        upstream: None,
        now,
    };
    let input = evaluator.input.build(&parts);
    let result = evaluator.evaluate(basis.bundle(), Entrypoint::Management, tenant.document(), input);
    match result.map_err(Fault::from).and_then(|result| Ok(Verdict::read(&result)?)) {
        Ok(verdict) if verdict.allow => draft.allow(verdict),
        Ok(verdict) => draft.deny(verdict, false),
        Err(fault) => draft.fail(fault),
    }
}

/// Which callers the bundle is asked about at all.
const fn may_manage(caller: Caller<'_>) -> bool {
    match caller {
        Caller::Session(_) => true,
        Caller::Token(token) => match token.kind {
            TokenKind::Admin => true,
            TokenKind::Global | TokenKind::Project | TokenKind::Mcp | TokenKind::Gateway => false,
        },
    }
}

/// The live gateway token that was presented. To everybody else it is unknown as a caller; here its holder
/// is told that it is of the wrong kind.
fn gateway<'a>(basis: &'a Basis, question: &Question<'_>, moment: Moment) -> Option<&'a TokenRecord> {
    let token = basis.snapshot().token(question.credential.token_hash()?)?;
    let live = !token.revoked && !is_expired(token, moment.now);
    (token.kind == TokenKind::Gateway && live).then_some(token)
}
