//! APISIX's `opa` plugin: what it tells, and what it reads.
//!
//! Its `path` is nginx's `$uri`: decoded, with `.`, `..` and double slashes already worked out. What goes on to the upstream
//! has to be the same, which is for the configuration of APISIX: see `docs/gateways/apisix.md`.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Denial, Why, query};
use crate::{
    api::{
        bounds::HttpBounds,
        held::HeldRequest,
        problem::Problem,
        question::{HeaderFields, read as read_json},
    },
    decision::Body,
};

/// What a decoded path may hold unencoded: the reader refuses of it what it would refuse of the client's.
const PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Other members (`route`, `service`, `consumer`) are not looked at.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    input: Input<'a>,
}

#[derive(Deserialize)]
struct Input<'a> {
    r#type: String,
    #[serde(borrow)]
    request: Request<'a>,
    #[serde(default)]
    var: Variables,
}

#[derive(Deserialize)]
struct Request<'a> {
    method: String,
    path: String,
    #[serde(default)]
    host: Option<String>,
    #[serde(borrow)]
    headers: HeaderFields<'a>,
    #[serde(default)]
    query: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Variables {
    #[serde(default)]
    remote_addr: Option<String>,
}

/// The request that APISIX holds.
///
/// # Errors
/// [`Problem`] for what is not the plugin's question.
pub(super) fn read<'a>(body: &'a [u8], bounds: &HttpBounds) -> Result<HeldRequest<'a>, Problem> {
    let Message { input: Input { r#type, request, var } } = read_json(body, bounds)?;
    if r#type != "http" {
        return Err(Problem::Malformed("input.type is not \"http\"".to_owned()));
    }
    let mut target = utf8_percent_encode(&request.path, &PATH).to_string();
    query::add(&mut target, request.query.as_ref())?;
    Ok(HeldRequest {
        method: request.method.into(),
        target: target.into(),
        host: request.host.map(Into::into),
        headers: request.headers.0,
        source_ip: var.remote_addr.map(Into::into),
        body: Body::Untold,
    })
}

/// What the plugin reads of a deny.
#[derive(Serialize)]
pub(super) struct ApisixResult<'a> {
    allow: bool,
    /// The body of the answer to its client.
    reason: Why<'a>,
    /// The headers of it.
    headers: BTreeMap<&'a str, &'a str>,
    status_code: u16,
}

impl<'a> ApisixResult<'a> {
    pub fn denied(denial: &'a Denial<'a>) -> Self {
        Self { allow: false, reason: denial.why(), headers: denial.headers(), status_code: denial.status }
    }
}
