//! Who makes a call, and what the bundle says about it.
//!
//! A [`Caller`] is somebody; an [`Operator`] is somebody whom the bundle allowed the call, and the only way to the store.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use super::{
    super::{
        Shared, call,
        problem::{Problem, Unauthenticated},
    },
    Management, Operation,
};
use crate::{
    decision::{
        About, Body, Decision, Delivery, Document, Headers, ManagedHolder, ManagedToken, ManagementCall,
        OwnReason, Question, Reason, Request, Subject,
    },
    types::{HolderKind, PresentedCredential, TenantId},
};

/// Who makes a call: the credential was live when the call came, and is of a kind that may manage. What they may do
/// is not said yet.
pub(in crate::api) struct Caller {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    credential: PresentedCredential,
    subject: Subject,
    shared: Arc<Shared>,
}

/// A caller whom the bundle allowed this call. What they see and change is their own tenant's.
pub(in crate::api) struct Operator<'a> {
    caller: &'a Caller,
    subject: Subject,
    tenant: TenantId,
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    /// Before the body: who may not ask may not make us read.
    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
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
    pub(in crate::api) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The call's own path and query.
    pub(in crate::api) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Asks the bundle whether the call may be made, over its method and path alone.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::api) async fn may(&self, operation: Operation) -> Result<Operator<'_>, Problem> {
        self.may_with(operation, About::default(), Document::Null).await
    }

    /// The same over what was sent and what it is about as well.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::api) async fn may_with(
        &self,
        operation: Operation,
        about: About<'_>,
        body: Document,
    ) -> Result<Operator<'_>, Problem> {
        if operation.is_about_rows() {
            self.catch_up().await?;
        }
        let (subject, tenant) = self.ask(operation, about, body).await?;
        Ok(Operator { caller: self, subject, tenant })
    }

    /// Waits until this process decides from what the database had when the call came: what another process took
    /// away before must not be used to write what stays.
    async fn catch_up(&self) -> Result<(), Problem> {
        let (Some(management), Some(feed)) = (&self.shared.management, &self.shared.feed) else {
            return Ok(());
        };
        let revision = management.store.revision().await?;
        Ok(feed.wait_for(revision, self.shared.bounds.revision_wait).await?)
    }

    async fn ask(
        &self,
        operation: Operation,
        about: About<'_>,
        body: Document,
    ) -> Result<(Subject, TenantId), Problem> {
        let question = question(&self.headers, &self.credential, &self.method, target(&self.uri));
        let call = ManagementCall { question, operation: operation.as_str(), about, body };
        permitted(self.shared.point.manage(&call).await)
    }

    /// Whether the bundle would let the caller read what stands at this path.
    fn may_read(&self, path: &str, operation: Operation, about: About<'_>) -> bool {
        let question = question(&self.headers, &self.credential, &Method::GET, path);
        let call = ManagementCall { question, operation: operation.as_str(), about, body: Document::Null };
        let decision = self.shared.point.may_manage(&call);
        // An id that no path can name without being read in two ways: the path of the list stands for it.
        let unnameable = decision.reasons.first == Reason::Own(OwnReason::AmbiguousPath);
        let list = self.uri.path();
        decision.allow || (unnameable && path != list && self.may_read(list, operation, about))
    }
}

impl Operator<'_> {
    /// Whose credential it is.
    pub(in crate::api) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Who they are, if they are somebody.
    pub(in crate::api) fn user_id(&self) -> Option<&str> {
        self.subject.user_id.as_deref()
    }

    /// The tenant that they see and change.
    pub(in crate::api) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Asks the bundle again, now that it is known which token the call is about.
    ///
    /// # Errors
    /// That there is no such token, in the same words as for one that is not there, unless the caller may read it:
    /// then why not.
    pub(in crate::api) async fn may_on(
        &self,
        operation: Operation,
        token: ManagedToken<'_>,
        body: Document,
    ) -> Result<(), Problem> {
        let sees = || self.sees(token);
        self.may_about(operation, token.into(), body, "token", sees).await
    }

    /// The same of a credential of this holder for this upstream. What the caller may not see is called by `hidden`.
    ///
    /// # Errors
    /// As [`may_on`](Self::may_on).
    pub(in crate::api) async fn may_on_credential(
        &self,
        operation: Operation,
        upstream: &str,
        holder: ManagedHolder<'_>,
        hidden: &'static str,
    ) -> Result<(), Problem> {
        let about = About { upstream: Some(upstream), holder: Some(holder), token: None };
        let sees = || self.sees_credential(upstream, holder);
        self.may_about(operation, about, Document::Null, hidden, sees).await
    }

    /// Asks the bundle again, now that all is known that the call is about, and says why not, whoever may see it.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::api) async fn may_now(
        &self,
        operation: Operation,
        about: About<'_>,
    ) -> Result<(), Problem> {
        self.caller.ask(operation, about, Document::Null).await.map(drop)
    }

    async fn may_about(
        &self,
        operation: Operation,
        about: About<'_>,
        body: Document,
        hidden: &'static str,
        sees: impl FnOnce() -> bool,
    ) -> Result<(), Problem> {
        let refused = match self.caller.ask(operation, about, body).await {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        match refused {
            Problem::ManagementDenied { .. } if !sees() => Err(Problem::NoSuch(hidden)),
            refused => Err(refused),
        }
    }

    /// Whether the bundle would let the caller read this token: what is listed is what could be read one by one.
    pub(in crate::api) fn sees(&self, token: ManagedToken<'_>) -> bool {
        let path = format!("/v1/tokens/{}", segment(token.id.unwrap_or_default()));
        self.caller.may_read(&path, Operation::ReadToken, token.into())
    }

    /// The same of a credential.
    pub(in crate::api) fn sees_credential(&self, upstream: &str, holder: ManagedHolder<'_>) -> bool {
        let about = About { upstream: Some(upstream), holder: Some(holder), token: None };
        self.caller.may_read(&credential_path(upstream, holder), Operation::ReadCredential, about)
    }

    /// The same of an upstream.
    pub(in crate::api) fn sees_upstream(&self, id: &str) -> bool {
        let path = format!("/v1/upstreams/{}", segment(id));
        let about = About { upstream: Some(id), ..About::default() };
        self.caller.may_read(&path, Operation::ReadUpstream, about)
    }

    /// The same of a row that is no token, and stands at `path` under its id.
    pub(in crate::api) fn sees_row(&self, path: &str, id: &str, operation: Operation) -> bool {
        self.caller.may_read(&format!("{path}/{}", segment(id)), operation, About::default())
    }

    /// The store, and what tokens are made with.
    ///
    /// # Errors
    /// A process that was put together without a store (a benchmark) has no such calls.
    pub(in crate::api) fn management(&self) -> Result<&Management, Problem> {
        self.caller.shared.management.as_deref().ok_or(Problem::NotFound)
    }
}

/// Whose live credential came with a call, if it is of a kind that may manage.
///
/// # Errors
/// Why it is not known, or is not.
pub(in crate::api) fn recognise(
    parts: &Parts,
    shared: &Shared,
) -> Result<(PresentedCredential, Subject), Problem> {
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

/// Where a credential is read.
fn credential_path(upstream: &str, holder: ManagedHolder<'_>) -> String {
    let kind = holder.kind.unwrap_or(HolderKind::Shared).as_str();
    let path = format!("/v1/upstreams/{}/credentials/{kind}", segment(upstream));
    match holder.id {
        Some(id) => format!("{path}/{}", segment(id)),
        None => path,
    }
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
        face: FACE,
        credential: credential.clone(),
        request: Request {
            method: Cow::Borrowed(method.as_str()),
            target: Cow::Borrowed(target),
            host: host.map(Cow::Borrowed),
            headers: headers(fields),
            source_ip: None,
        },
        upstream: None,
        mcp: Vec::new(),
        body: Body::Untold,
        context: Document::new_object(),
        gateway: None,
        explain: false,
        delivery: Delivery::Refused,
        abilities: None,
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

/// How records name the way by which all calls of the management API come.
const FACE: &str = "management";

fn permitted(decision: Decision) -> Result<(Subject, TenantId), Problem> {
    let tenant = decision.subject.as_ref().and_then(|subject| subject.tenant.clone());
    let retry_after = decision.retry_after();
    match (decision.allow, decision.subject, tenant) {
        (true, Some(subject), Some(tenant)) => Ok((subject, tenant)),
        _ => Err(match retry_after {
            Some(seconds) => Problem::TooManyCalls(seconds),
            None => refusal(decision.reasons.first, decision.message.as_str()),
        }),
    }
}

fn refusal(reason: Reason, message: &str) -> Problem {
    match reason {
        Reason::Own(OwnReason::DataStale) => Problem::Stale,
        Reason::Own(OwnReason::AuditUnavailable) => Problem::Unrecorded,
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
