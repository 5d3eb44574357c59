//! What a presented credential is, for gateways that decide by themselves (RFC 7662): the same reading of it that a
//! decision would begin with.

use super::{
    Document,
    basis::Basis,
    caller::{Caller, resolve},
    decide::{DecisionRules, Moment},
    document,
    outcome::Subject,
    question::{AskingGateway, Body, Delivery, Headers, Question, Request},
    reason::OwnReason,
};
use crate::types::{PresentedCredential, Timestamp};

/// A credential that is good at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Introspected {
    /// Whose it is.
    pub subject: Subject,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// Of a token, what it may do: `pull`, `push`, `trigger`. A session has what its claims say.
    pub scopes: Vec<&'static str>,
    /// The one project of a project token.
    pub project_id: Option<std::sync::Arc<str>>,
    /// The list of projects as rules see it: null for no limit, or project → unix seconds or null.
    pub projects: Document,
    /// The list of tools as rules see it: null for no limit.
    pub tools: Document,
    /// May trigger.
    pub allow_trigger: bool,
    /// The claims of a session, undefined for a token.
    pub claims: Document,
}

/// Nobody can tell at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKnown {
    /// This process does not know the present data.
    #[error("the data is not current")]
    Stale,
    /// The keys of the session's issuer are not known.
    #[error("the keys of the session's issuer are not known")]
    Keys,
}

/// Looks at a credential as a question of this gateway would. `None` for whatever is not good at this moment, another
/// tenant's, a gateway's own token, and for that of a user who is disabled, or not there: but a session whose claims give the
/// role needs no row.
///
/// # Errors
/// [`NotKnown`]: what cannot be known is neither good nor dead.
pub fn introspect(
    basis: &Basis,
    rules: &DecisionRules,
    credential: PresentedCredential,
    gateway: &AskingGateway,
    moment: Moment,
) -> Result<Option<Introspected>, NotKnown> {
    if moment.data_is_stale {
        return Err(NotKnown::Stale);
    }
    let question = about(credential, gateway);
    let caller = match resolve(basis.snapshot(), &question, moment.now) {
        Ok(Some(caller)) => caller,
        Err((OwnReason::SessionKeysUnavailable, _)) => return Err(NotKnown::Keys),
        Ok(None) | Err(_) => return Ok(None),
    };
    let tenant = basis.tenant(caller.tenant().unwrap_or(&rules.default_tenant));
    let Ok(user) = caller.user(tenant) else { return Ok(None) };
    // A token without a user is a project's; a session without one is nobody's, whatever a policy makes of it.
    if user.is_none() && matches!(caller, Caller::Session(_)) {
        return Ok(None);
    }
    let row = user.and_then(|user| user.row);
    if row.is_some_and(|row| row["disabled"] != Document::from(false)) {
        return Ok(None);
    }
    Ok(Some(described(caller)))
}

/// Whether this is a session that is good at this moment, of a tenant that this gateway speaks for.
pub fn is_live_session(credential: &PresentedCredential, gateway: &AskingGateway, now: Timestamp) -> bool {
    let PresentedCredential::Session { session: Ok(session), .. } = credential else { return false };
    gateway.tenant.as_ref().is_none_or(|own| *own == session.tenant) && session.refusal_at(now).is_none()
}

fn described(caller: Caller<'_>) -> Introspected {
    let subject = Subject::from(caller);
    match caller {
        Caller::Token(token) => {
            let named =
                [(token.scope_pull, "pull"), (token.scope_push, "push"), (token.allow_trigger, "trigger")];
            Introspected {
                subject,
                expires_at: token.expires_at,
                scopes: named.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect(),
                project_id: token.project_id.clone(),
                projects: token.projects.clone(),
                tools: token.tools.clone(),
                allow_trigger: token.allow_trigger,
                claims: Document::Undefined,
            }
        }
        Caller::Session(session) => Introspected {
            subject,
            expires_at: session.expires_at,
            scopes: Vec::new(),
            project_id: None,
            projects: Document::Null,
            tools: Document::Null,
            allow_trigger: false,
            claims: document::object(&session.claims),
        },
    }
}

/// A question that is about nothing but its credential.
fn about(credential: PresentedCredential, gateway: &AskingGateway) -> Question<'_> {
    Question {
        face: "/v1/introspect",
        credential,
        request: Request {
            method: "GET".into(),
            target: "/".into(),
            host: None,
            headers: Headers::default(),
            source_ip: None,
        },
        upstream: None,
        mcp: Vec::new(),
        body: Body::Untold,
        context: Document::Null,
        gateway: Some(gateway),
        explain: false,
        delivery: Delivery::Withheld,
        abilities: None,
    }
}
