//! Kong's `opa` plugin: what it tells, and what it reads.
//!
//! Its `path` is Kong's normalised one, in which whatever could be read in two ways is still percent-encoded, and which Kong
//! sends on. Its `querystring` is decoded.

use std::{borrow::Cow, collections::BTreeMap};

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

/// Lua's own bound on the values that a plugin is shown, unless it asks for more: of a query with as many, some may not have
/// been told.
const QUERY_TOLD: usize = 100;

/// Other members (`service`, `route`, `consumer`) are not looked at.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    input: Input<'a>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    request: Request<'a>,
    #[serde(default)]
    client_ip: Option<String>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    http: Http<'a>,
}

#[derive(Deserialize)]
struct Http<'a> {
    method: String,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(default)]
    host: Option<String>,
    #[serde(borrow)]
    headers: HeaderFields<'a>,
    #[serde(default)]
    querystring: Option<Value>,
}

/// The request that Kong holds.
///
/// # Errors
/// [`Problem`] for what is not the plugin's question.
pub(super) fn read<'a>(body: &'a [u8], bounds: &HttpBounds) -> Result<HeldRequest<'a>, Problem> {
    let Message { input: Input { request: Request { http }, client_ip } } = read_json(body, bounds)?;
    let malformed = |text: &str| Err(Problem::Malformed(text.to_owned()));
    if http.path.contains('?') {
        return malformed("input.request.http.path has a query in it");
    }
    if query::length(http.querystring.as_ref()) >= QUERY_TOLD {
        return malformed(
            "input.request.http.querystring: as much as the gateway tells at most: some may be missing",
        );
    }
    let mut target = http.path.into_owned();
    query::add(&mut target, http.querystring.as_ref())?;
    Ok(HeldRequest {
        method: http.method.into(),
        target: target.into(),
        host: http.host.map(Into::into),
        headers: http.headers.0,
        source_ip: client_ip.map(Into::into),
        body: Body::Untold,
    })
}

/// What the plugin reads of a deny.
#[derive(Serialize)]
pub(super) struct KongResult<'a> {
    allow: bool,
    status: u16,
    /// The headers of the answer to its client.
    headers: BTreeMap<&'a str, &'a str>,
    /// The body of it.
    message: Why<'a>,
}

impl<'a> KongResult<'a> {
    pub fn denied(denial: &'a Denial<'a>) -> Self {
        Self { allow: false, status: denial.status, headers: denial.headers(), message: denial.why() }
    }
}
