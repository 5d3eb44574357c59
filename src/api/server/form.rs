//! One request has one reading: what two programs could take for two different requests is refused.
//!
//! What is left to hyper, and tested: a line break within a header, a broken length, both `Transfer-Encoding` and
//! `Content-Length` (the first counts, and the connection ends with the answer), pseudo-headers of HTTP/2 that are
//! unknown, doubled, missing or behind others.

use axum::http::{HeaderValue, Method, Request, Version, header, uri::PathAndQuery};

use crate::api::problem::Problem;

/// Refuses a request whose target or host can be read in two ways, and sees to it that the host stands in `Host`, also
/// where HTTP/2 has it in `:authority`.
///
/// # Errors
/// [`Problem::Form`]
pub(super) fn settle<B>(request: &mut Request<B>) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(Problem::Form("it has more than one Host"));
    }
    if request.method() == Method::CONNECT {
        return Err(Problem::Form("its method is CONNECT"));
    }
    let uri = request.uri();
    if !uri.path_and_query().map(PathAndQuery::path).is_some_and(|path| path.starts_with('/')) {
        return Err(Problem::Form("its target is no path"));
    }
    match (request.version(), uri.authority()) {
        (Version::HTTP_2, Some(authority)) => {
            let authority = authority.as_str();
            if authority.contains('@') {
                return Err(Problem::Form("its authority has a user"));
            }
            match host {
                Some(host) if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
                    return Err(Problem::Form("its Host and its authority differ"));
                }
                Some(_) => {}
                None => {
                    let host = HeaderValue::from_str(authority)
                        .map_err(|_| Problem::Form("its authority is no host"))?;
                    request.headers_mut().insert(header::HOST, host);
                }
            }
        }
        (Version::HTTP_2, None) => {}
        // RFC 9112 section 3.2.2: what a proxy is asked. Nobody asks regate through one.
        (_, Some(_)) => return Err(Problem::Form("its target is a whole URL")),
        (Version::HTTP_11, None) if host.is_none() => return Err(Problem::Form("it has no Host")),
        (_, None) => {}
    }
    Ok(())
}
