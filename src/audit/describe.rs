//! From a question and its decision to the record of both.

use std::borrow::Cow;

use super::{
    masking::Masking,
    record::{
        DecisionRecord, RecordedCredential, RecordedGateway, RecordedLimit, RecordedMcp, RecordedQuestion,
        RecordedRequest, RecordedSubject, Text,
    },
    settings::RecordedParts,
};
use crate::{
    decision::{Body, Decision, Document, Evaluation, ManagementCall, Message, Question},
    types::{Timestamp, TraceParent},
};

/// What was decided about.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// A request that a gateway holds.
    Request(&'a Question<'a>),
    /// A call of regate's own management API.
    Management(&'a ManagementCall<'a>),
    /// An AuthZEN evaluation.
    Evaluation(&'a Evaluation<'a>),
}

/// The moment of a decision, and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// When it was made.
    pub at: Timestamp,
    /// From the question to the decision, in microseconds.
    pub micros: u64,
    /// The trace that the question belongs to.
    pub trace: Option<TraceParent>,
}

impl Asked<'_> {
    /// By which way it came.
    pub const fn face(&self) -> &'static str {
        match self {
            Self::Request(question) => question.face,
            Self::Management(call) => call.question.face,
            Self::Evaluation(_) => "/access/v1/evaluation",
        }
    }
}

/// The record of a decision.
pub(super) fn describe<'a>(
    asked: Asked<'a>,
    decision: &'a Decision,
    took: Took,
    parts: &RecordedParts,
) -> DecisionRecord<'a> {
    let mut masking = Masking::default();
    let mut left_out = Vec::new();
    let gateway = match asked {
        Asked::Request(question) => question.gateway,
        Asked::Management(_) => None,
        Asked::Evaluation(evaluation) => evaluation.gateway,
    };
    let mut project = None;
    let recorded = match asked {
        Asked::Request(question) => {
            project = parts.project(&question.request.target);
            RecordedQuestion::Request(request(question, decision, parts, &mut masking, &mut left_out))
        }
        Asked::Management(call) => RecordedQuestion::Management {
            request: request(&call.question, decision, parts, &mut masking, &mut left_out),
            operation: Cow::Borrowed(call.operation),
        },
        Asked::Evaluation(evaluation) => {
            let mut entity = |member, kind: &'a str, id: Option<&'a str>| {
                (masking.text(member, kind), masking.text(member, id.unwrap_or_default()))
            };
            let subject = entity("subject", &evaluation.subject.kind, evaluation.subject.id.as_deref());
            let resource = entity("resource", &evaluation.resource.kind, evaluation.resource.id.as_deref());
            if resource.0 == "project" {
                project = Some(resource.1.clone());
            }
            let named = evaluation.action.as_ref().map_or("", |action| &*action.name);
            if !is_empty(&evaluation.context) {
                left_out.push(Cow::Borrowed("context"));
            }
            RecordedQuestion::Evaluation { subject, action: masking.text("action", named), resource }
        }
    };
    let message = match &decision.message {
        Message::Own(text) => Cow::Borrowed(text.as_ref()),
        Message::Policy(text) => masking.text("decision.message", text),
    };
    let reasons = decision.reasons.codes().map(|code| masking.text("decision.reasons", code)).collect();
    let limits = decision.limits.iter().filter_map(|limit| {
        let state = limit.state?;
        Some(RecordedLimit {
            name: Cow::Borrowed(&*limit.name),
            limit: limit.limit,
            remaining: state.remaining,
            reset_seconds: state.reset_seconds(),
        })
    });
    DecisionRecord {
        id: decision.id,
        time_millis: took.at.unix_millis(),
        tenant: Cow::Borrowed(decision.tenant.as_str()),
        face: Cow::Borrowed(asked.face()),
        gateway: gateway.map(|gateway| RecordedGateway {
            id: Cow::Borrowed(&*gateway.id),
            tenant: gateway.tenant.as_ref().map(|tenant| Cow::Borrowed(tenant.as_str())),
        }),
        subject: subject(asked, decision, &mut masking),
        asked: recorded,
        project,
        allow: decision.allow,
        status: decision.status,
        reasons,
        message,
        limits: limits.collect(),
        credential: decision.credential.as_ref().map(|used| RecordedCredential {
            upstream: Cow::Borrowed(used.upstream.as_str()),
            holder: Cow::Borrowed(used.holder.kind().as_str()),
            holder_id: Some(Cow::Borrowed(used.holder.id())).filter(|id| !id.is_empty()),
        }),
        policy_revision: Cow::Borrowed(decision.policy_revision.as_str()),
        data_revision: decision.data_revision.0,
        latency_micros: took.micros,
        trace_id: took.trace.map(|trace| Cow::Owned(trace.trace_id().to_string())),
        masked: masking.masked,
        left_out: left_out.into_iter().chain(masking.cut).collect(),
    }
}

/// Whose request it was; of an AuthZEN evaluation whom the gateway named.
fn subject<'a>(
    asked: Asked<'a>,
    decision: &'a Decision,
    masking: &mut Masking,
) -> Option<RecordedSubject<'a>> {
    if let Asked::Evaluation(evaluation) = asked {
        let id = evaluation.subject.id.as_deref();
        return Some(RecordedSubject {
            kind: masking.text("subject", &evaluation.subject.kind),
            token_id: None,
            user_id: masking.optional("subject", id.filter(|_| evaluation.subject_is_user)),
            tenant: Some(Cow::Borrowed(decision.tenant.as_str())),
        });
    }
    decision.subject.as_ref().map(|subject| RecordedSubject {
        kind: Cow::Borrowed(subject.kind.as_str()),
        token_id: subject.token_id.as_deref().map(Cow::Borrowed),
        user_id: subject.user_id.as_deref().map(Cow::Borrowed),
        tenant: subject.tenant.as_ref().map(|tenant| Cow::Borrowed(tenant.as_str())),
    })
}

fn request<'a>(
    question: &'a Question<'a>,
    decision: &'a Decision,
    parts: &RecordedParts,
    masking: &mut Masking,
    left_out: &mut Vec<Text<'static>>,
) -> RecordedRequest<'a> {
    let asked = &question.request;
    let mut headers = Vec::new();
    let mut others = false;
    for (name, value) in asked.headers.iter() {
        if parts.records_header(name) {
            headers.push((Cow::Borrowed(name), masking.header(name, value)));
        } else {
            others = true;
        }
    }
    let body = matches!(&question.body, Body::Whole(bytes) if !bytes.is_empty());
    let absent = [
        ("request.headers", others),
        ("request.body", body || matches!(question.body, Body::Cut)),
        ("mcp.params", decision.messages.iter().any(|message| message.has_more)),
        ("context", !is_empty(&question.context)),
    ];
    left_out
        .extend(absent.into_iter().filter(|(_, absent)| *absent).map(|(member, _)| Cow::Borrowed(member)));
    let messages = decision.messages.iter().map(|message| RecordedMcp {
        method: masking.optional("mcp.method", message.method.as_deref()),
        tool: masking.optional("mcp.params.name", message.tool.as_deref()),
    });
    let mcp = messages.collect();
    RecordedRequest {
        method: masking.text("request.method", &asked.method),
        path: masking.target(&asked.target),
        host: masking.optional("request.host", asked.host.as_deref()),
        headers,
        source_ip: masking.optional("request.source_ip", asked.source_ip.as_deref()),
        upstream: masking.optional("upstream", question.upstream.as_deref()),
        mcp,
    }
}

fn is_empty(context: &Document) -> bool {
    context.as_object().is_ok_and(|members| members.is_empty())
        || matches!(context, Document::Undefined | Document::Null)
}
