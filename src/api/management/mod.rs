//! regate's own management API: tokens, users, projects, collaborators, and what the operators of the process ask.
//!
//! **For:** who may make a call, and the calls. Each is a decision of the bundle at its management entrypoint.
//!
//! **Must never know:** a rule, SQL, another tenant's rows. What a call reads and writes it reaches through an
//! [`Operator`], which only the bundle's decision gives, and which knows one tenant.
//!
//! **To add one more** call: its name in [`Operation`], a handler that takes a [`Caller`] and asks
//! [`Caller::may`] before anything else, its line in `openapi`, its row in `docs/api.md`. Where the call is about a
//! token, ask about that token as well ([`Operator::may_on`]).

pub(super) mod collaborators;
pub(super) mod import;
mod message;
mod operation;
mod page;
mod path;
pub(super) mod projects;
pub(super) mod tokens;
pub(super) mod users;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use rand::rngs::StdRng;
use tokio::sync::Semaphore;

pub(super) use self::operation::Operation;
use super::{
    Shared, call,
    point::NewIds,
    problem::{Problem, Unauthenticated},
};
use crate::{
    decision::{
        Decision, Document, Headers, ManagedToken, ManagementCall, OwnReason, Question, Reason, Request,
        Subject,
    },
    store::{Store, TokenLimits},
    types::{Clock, PresentedCredential, TenantId, Timestamp},
};

/// What the calls work with.
pub struct Management {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    new_ids: NewIds,
    random: Mutex<StdRng>,
    limits: TokenLimits,
    /// Places for tokens that may be stored and were not shown.
    unshown: Arc<Semaphore>,
}

/// Tokens that are looked for at a time.
const UNSHOWN: usize = 256;

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Management {
    /// Over a store whose writes this process decides from when they return (`feed::LiveStore`), with a source of
    /// randomness for tokens that the operating system seeded.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        new_ids: NewIds,
        random: StdRng,
        limits: TokenLimits,
    ) -> Self {
        Self {
            store,
            clock,
            new_ids,
            random: Mutex::new(random),
            limits,
            unshown: Arc::new(Semaphore::new(UNSHOWN)),
        }
    }
}

/// Who makes a call: the credential was live when the call came, and is of a kind that may manage. What they may do
/// is not said yet.
#[derive(Clone)]
pub(super) struct Caller {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    credential: PresentedCredential,
    subject: Subject,
    shared: Shared,
}

/// A caller whom the bundle allowed this call. What they see and change is their own tenant's.
#[derive(Clone)]
pub(super) struct Operator {
    caller: Caller,
    subject: Subject,
    tenant: TenantId,
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    /// Before the body: who may not ask may not make us read.
    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let (credential, subject) = recognise(parts, shared)?;
        Ok(Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            credential,
            subject,
            shared: shared.clone(),
        })
    }
}

impl Caller {
    /// Whose credential it was when the call came.
    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The call's own path and query.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Asks the bundle whether the call may be made, over its method and path alone.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn may(&self, operation: Operation) -> Result<Operator, Problem> {
        self.may_with(operation, None, Document::Null).await
    }

    /// The same over what was sent and the token that it would make as well.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn may_with(
        &self,
        operation: Operation,
        token: Option<ManagedToken<'_>>,
        body: Document,
    ) -> Result<Operator, Problem> {
        if operation.is_about_rows() {
            self.catch_up().await?;
        }
        self.ask(operation, token, body)
    }

    /// Waits until this process decides from what the database had when the call came: what another process took
    /// away before must not be used to write what stays.
    async fn catch_up(&self) -> Result<(), Problem> {
        let (Some(management), Some(feed)) = (&self.shared.management, &self.shared.feed) else {
            return Ok(());
        };
        let revision = management.store.revision().await?;
        let live = self.shared.point.live();
        if live.basis().snapshot().revision() < revision {
            feed.nudge();
            live.wait_for_revision(revision, self.shared.bounds.revision_wait).await?;
        }
        Ok(())
    }

    fn ask(
        &self,
        operation: Operation,
        token: Option<ManagedToken<'_>>,
        body: Document,
    ) -> Result<Operator, Problem> {
        let question = question(&self.headers, &self.credential, &self.method, target(&self.uri));
        let call = ManagementCall { question, operation: operation.as_str(), token, body };
        let (subject, tenant) = permitted(self.shared.point.manage(&call))?;
        Ok(Operator { caller: self.clone(), subject, tenant })
    }

    /// Whether the bundle would let the caller read what stands at this path.
    fn may_read(&self, path: &str, operation: Operation, token: Option<ManagedToken<'_>>) -> bool {
        let question = question(&self.headers, &self.credential, &Method::GET, path);
        let call = ManagementCall { question, operation: operation.as_str(), token, body: Document::Null };
        let decision = self.shared.point.manage(&call);
        // An id that no path can name without being read in two ways: the path of the list stands for it.
        let unnameable = decision.reasons.first == Reason::Own(OwnReason::AmbiguousPath);
        let list = self.uri.path();
        decision.allow || (unnameable && path != list && self.may_read(list, operation, token))
    }
}

impl Operator {
    /// Whose credential it is.
    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Who they are, if they are somebody.
    pub(super) fn user_id(&self) -> Option<&str> {
        self.subject.user_id.as_deref()
    }

    /// The tenant that they see and change.
    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Asks the bundle again, now that it is known which token the call is about.
    ///
    /// # Errors
    /// That there is no such token, in the same words as for one that is not there, unless the caller may read it:
    /// then why not.
    pub(super) fn may_on(
        &self,
        operation: Operation,
        token: ManagedToken<'_>,
        body: Document,
    ) -> Result<(), Problem> {
        let refused = match self.caller.ask(operation, Some(token), body) {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        match refused {
            Problem::ManagementDenied { .. } if !self.sees(token) => Err(Problem::NoSuch("token")),
            refused => Err(refused),
        }
    }

    /// Whether the bundle would let the caller read this token: what is listed is what could be read one by one.
    pub(super) fn sees(&self, token: ManagedToken<'_>) -> bool {
        let path = format!("/v1/tokens/{}", segment(token.id.unwrap_or_default()));
        self.caller.may_read(&path, Operation::ReadToken, Some(token))
    }

    /// The same of a row that is no token, and stands at `path` under its id.
    pub(super) fn sees_row(&self, path: &str, id: &str, operation: Operation) -> bool {
        self.caller.may_read(&format!("{path}/{}", segment(id)), operation, None)
    }

    /// The store, and what tokens are made with.
    ///
    /// # Errors
    /// A process that was put together without a store (a benchmark) has no such calls.
    pub(super) fn management(&self) -> Result<&Management, Problem> {
        self.caller.shared.management.as_deref().ok_or(Problem::NotFound)
    }
}

impl Management {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn new_id(&self) -> String {
        (self.new_ids)().next_id(self.now()).to_string()
    }

    /// Makes something of randomness.
    fn with_random<T>(&self, make: impl FnOnce(&mut StdRng) -> T) -> T {
        // A generator is good in whatever state a panic left it.
        make(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whose live credential came with a call, if it is of a kind that may manage.
///
/// # Errors
/// Why it is not known, or is not.
pub(super) fn recognise(parts: &Parts, shared: &Shared) -> Result<(PresentedCredential, Subject), Problem> {
    call::check_header(&parts.headers, &shared.bounds)?;
    if !shared.point.live().is_loaded() {
        return Err(Problem::NotLoaded);
    }
    let target = target(&parts.uri);
    if target.len() > shared.bounds.path_bytes {
        return Err(Problem::PartTooLong { part: "the path".into(), limit: shared.bounds.path_bytes });
    }
    let credential = call::presented(&parts.headers, &shared.credentials);
    let question = question(&parts.headers, &credential, &parts.method, target);
    match shared.point.recognise_operator(&question) {
        Ok(subject) => Ok((credential, subject)),
        Err(reason) => Err(refusal(reason.into(), reason.message())),
    }
}

fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

/// A segment of a path that is read as this text.
fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

/// The question that a call is.
fn question<'a>(
    fields: &'a HeaderMap,
    credential: &PresentedCredential,
    method: &'a Method,
    target: &'a str,
) -> Question<'a> {
    let host = fields.get(header::HOST).and_then(|host| host.to_str().ok());
    Question {
        credential: credential.clone(),
        request: Request {
            method: Cow::Borrowed(method.as_str()),
            target: Cow::Borrowed(target),
            host: host.map(Cow::Borrowed),
            headers: headers(fields),
            source_ip: None,
        },
        upstream: None,
        mcp: None,
        context: Document::new_object(),
        gateway: None,
        explain: false,
    }
}

fn headers(headers: &HeaderMap) -> Headers<'_> {
    let fields = headers.iter().filter(|(name, _)| !Headers::is_credential(name.as_str()));
    Headers::new(
        fields
            .map(|(name, value)| (name.as_str().into(), String::from_utf8_lossy(value.as_bytes())))
            .collect(),
    )
}

fn permitted(decision: Decision) -> Result<(Subject, TenantId), Problem> {
    let tenant = decision.subject.as_ref().and_then(|subject| subject.tenant.clone());
    match (decision.allow, decision.subject, tenant) {
        (true, Some(subject), Some(tenant)) => Ok((subject, tenant)),
        _ => Err(refusal(decision.reasons.first, decision.message.as_str())),
    }
}

fn refusal(reason: Reason, message: &str) -> Problem {
    match reason {
        Reason::Own(OwnReason::DataStale) => Problem::Stale,
        Reason::Own(OwnReason::SessionKeysUnavailable) => Problem::KeysUnavailable,
        Reason::Own(OwnReason::AmbiguousPath) => Problem::Invalid(message.to_owned()),
        Reason::Own(OwnReason::TokenMissing) => Problem::Unauthenticated(Unauthenticated::Absent),
        Reason::Own(own) if own.status() == 401 && own.is_about_sessions() => {
            Problem::Unauthenticated(Unauthenticated::Session(own.code()))
        }
        Reason::Own(own) if own.status() == 401 || own == OwnReason::AmbiguousCredential => {
            Problem::Unauthenticated(Unauthenticated::Token)
        }
        reason => {
            Problem::ManagementDenied { reason: reason.as_str().to_owned(), message: message.to_owned() }
        }
    }
}
