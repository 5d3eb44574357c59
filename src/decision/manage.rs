//! Whether a caller may make a call of regate's own management API: a decision of the bundle at its
//! management entrypoint, over the call's own method and path, within what regate holds every bundle to.

use uuid::Uuid;

use super::{
    Document,
    basis::Basis,
    bundle::Entrypoint,
    caller::{Caller, UserInput, is_expired, resolve},
    challenge::PLAIN,
    decide::{DecisionRules, Moment, upper_case},
    draft::Draft,
    evaluator::Evaluator,
    input::InputParts,
    outcome::{Decision, Fault, HeaderChanges, Message, Subject},
    path::RequestPath,
    question::Question,
    reason::OwnReason,
    snapshot::{TenantData, TokenRecord},
    verdict::Verdict,
};
use crate::types::{HolderKind, TokenKind};

/// A call of the management API.
#[derive(Debug)]
pub struct ManagementCall<'a> {
    /// The call itself: its credential, method and path. An upstream or an MCP message in it is not looked at.
    pub question: Question<'a>,
    /// Its name, such as `tokens.mint`; rules see it as `input.management.operation`.
    pub operation: &'static str,
    /// What it is about, as far as that is known.
    pub about: About<'a>,
    /// What was sent: `input.management.body`. `null` where nothing is sent, or where it is not for rules.
    pub body: Document,
}

/// What a call is about, as far as that is known when the rules are asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// The token, as it is or as it would be made: `input.management.token`.
    pub token: Option<ManagedToken<'a>>,
    /// The upstream's id: `input.management.upstream`.
    pub upstream: Option<&'a str>,
    /// Whose upstream credential, or flow that leads to one: `input.management.holder`.
    pub holder: Option<ManagedHolder<'a>>,
}

impl<'a> From<ManagedToken<'a>> for About<'a> {
    fn from(token: ManagedToken<'a>) -> Self {
        Self { token: Some(token), ..Self::default() }
    }
}

/// What rules see of the holder of an upstream credential.
#[derive(Clone, Copy, Debug)]
pub struct ManagedHolder<'a> {
    /// What kind of holder; `None` in a list of every kind.
    pub kind: Option<HolderKind>,
    /// Its id; `None` of a shared credential.
    pub id: Option<&'a str>,
    /// The user behind it: the user themselves, or the token's.
    pub user_id: Option<&'a str>,
}

/// What rules see of a token that is managed.
#[derive(Clone, Copy, Debug)]
pub struct ManagedToken<'a> {
    /// Its id; `None` while it has none.
    pub id: Option<&'a str>,
    /// Its kind; `None` in a list of tokens of every kind.
    pub kind: Option<TokenKind>,
    /// Its user.
    pub user_id: Option<&'a str>,
    /// The one project of a project token.
    pub project_id: Option<&'a str>,
}

/// Who presented a live credential of a kind that may manage at all. For refusing before more is
/// read of a call: who may make it is for [`manage`] to say, and it looks at the credential again.
///
/// # Errors
/// Why not.
pub fn recognise_operator(
    basis: &Basis,
    rules: &DecisionRules,
    question: &Question<'_>,
    moment: Moment,
) -> Result<Subject, OwnReason> {
    match operator(basis, rules, question, moment) {
        Ok(operator) => Ok(operator.caller.into()),
        Err((reason, _)) => Err(reason),
    }
}

/// Decides about a call of the management API. Never fails: what goes wrong is a deny with its reason.
///
/// No path is public here, and nobody is anonymous.
///
/// INVARIANT: only tokens of operators and sessions of users manage, whatever the bundle says.
pub fn manage(
    evaluator: &mut Evaluator,
    basis: &Basis,
    rules: &DecisionRules,
    call: &ManagementCall<'_>,
    id: Uuid,
    moment: Moment,
) -> Decision {
    let question = &call.question;
    let tenant = &rules.default_tenant;
    let draft = Draft { basis, rules, challenges: &PLAIN, id, subject: None, tenant };
    let path = match RequestPath::read(&question.request.target, rules.path) {
        Ok(path) => path,
        Err(ambiguous) => {
            let message = Message::Own(ambiguous.to_string().into());
            return Decision { message, ..draft.refuse(OwnReason::AmbiguousPath) };
        }
    };
    let Operator { caller, tenant, user } = match operator(basis, rules, question, moment) {
        Ok(operator) => operator,
        Err((reason, subject)) => {
            let own = subject.as_ref().and_then(|subject| subject.tenant.clone());
            let decision = Draft { subject, ..draft }.refuse(reason);
            return Decision { tenant: own.unwrap_or(decision.tenant), ..decision };
        }
    };
    let draft = draft.about(Some(caller), rules);
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
        mcp: None,
        rules,
        method: &method,
        path: &path,
        caller: Some(caller),
        user,
        upstream: None,
        management: Some(call),
        now,
    };
    let input = evaluator.input.build(&parts);
    let result = evaluator.evaluate(basis.bundle(), Entrypoint::Management, tenant.document(), input);
    let decision = match result.map_err(Fault::from).and_then(|result| Ok(Verdict::read(&result)?)) {
        Ok(verdict) if verdict.allow => {
            // Nobody forwards a call of regate's own: there are no headers to change.
            draft.allow(verdict, HeaderChanges::removing(&rules.credential_headers))
        }
        Ok(verdict) => draft.deny(verdict, false),
        Err(fault) => draft.fail(fault),
    };
    Decision { evaluated: true, ..decision }
}

/// Somebody who may manage, if the bundle says so.
struct Operator<'a> {
    caller: Caller<'a>,
    tenant: &'a TenantData,
    user: Option<UserInput<'a>>,
}

fn operator<'a>(
    basis: &'a Basis,
    rules: &DecisionRules,
    question: &'a Question<'_>,
    moment: Moment,
) -> Result<Operator<'a>, (OwnReason, Option<Subject>)> {
    if moment.data_is_stale {
        return Err((OwnReason::DataStale, None));
    }
    if let Some(gateway) = gateway(basis, question, moment) {
        return Err((OwnReason::ManagementTokenKind, Some(gateway.into())));
    }
    let caller = match resolve(basis.snapshot(), question, moment.now) {
        Ok(Some(caller)) => caller,
        Ok(None) => return Err((OwnReason::TokenMissing, None)),
        Err((reason, caller)) => return Err((reason, caller.map(Subject::from))),
    };
    let refuse = |reason| (reason, Some(Subject::from(caller)));
    if !may_manage(caller) {
        return Err(refuse(OwnReason::ManagementTokenKind));
    }
    let tenant = basis.tenant(caller.tenant().unwrap_or(&rules.default_tenant));
    let user = caller.user(tenant).map_err(refuse)?;
    Ok(Operator { caller, tenant, user })
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
