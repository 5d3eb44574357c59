//! The request as headers describe it. There are two sets of them; which one is read, the path says that a gateway asks,
//! and never what came: a client can send the other set.

use std::{borrow::Cow, net::IpAddr, sync::LazyLock};

use axum::http::{HeaderMap, HeaderName, Method};

use crate::{
    api::{held::HeldRequest, problem::Problem, sub_request},
    decision::Body,
};

/// The names of one set.
pub(super) struct Names {
    /// The path that such a gateway asks.
    pub face: &'static str,
    method: HeaderName,
    target: HeaderName,
    host: HeaderName,
    address: HeaderName,
}

/// As Traefik, Caddy and APISIX send them.
pub(super) static X_FORWARDED: Names = Names {
    face: "/v1/forward-auth",
    method: HeaderName::from_static("x-forwarded-method"),
    target: HeaderName::from_static("x-forwarded-uri"),
    host: HeaderName::from_static("x-forwarded-host"),
    address: HeaderName::from_static("x-forwarded-for"),
};

/// As nginx is configured to send them.
pub(super) static NGINX: Names = Names {
    face: "/v1/forward-auth/nginx",
    method: HeaderName::from_static("x-original-method"),
    target: HeaderName::from_static("x-original-uri"),
    host: HeaderName::from_static("x-original-host"),
    address: HeaderName::from_static("x-original-for"),
};

/// Of neither set alone: gateways say more than is read here.
static MORE: [HeaderName; 3] = [
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-server"),
];

impl Names {
    /// The request that these headers describe. All of them are needed: one that a gateway does not set, its client could.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a header that is missing, comes twice, cannot be read, or contradicts the other set.
    pub fn read<'h>(&self, sent: &'h HeaderMap, body: Body<'h>) -> Result<HeldRequest<'h>, Problem> {
        let needed = |name: &HeaderName| {
            let value = sub_request::single(sent, name)?.filter(|value| !value.is_empty());
            value.ok_or_else(|| Problem::Invalid(format!("{name} is missing: the gateway has to set it")))
        };
        let method = needed(&self.method)?;
        let target = needed(&self.target)?;
        let host = needed(&self.host)?;
        let address = self.address(needed(&self.address)?)?;
        if Method::from_bytes(method.as_bytes()).is_err() {
            return Err(Problem::Invalid(format!("{} is not the name of a method", self.method)));
        }
        for other in [&X_FORWARDED, &NGINX] {
            let pairs = [(&other.method, &self.method, method), (&other.target, &self.target, target)];
            for (name, own_name, own) in pairs {
                if sent.get_all(name).iter().any(|value| value.as_bytes() != own.as_bytes()) {
                    let text =
                        format!("{name} contradicts {own_name}: the gateway has to remove its client's");
                    return Err(Problem::Invalid(text));
                }
            }
        }
        Ok(HeldRequest {
            method: Cow::Borrowed(method),
            target: Cow::Borrowed(target),
            host: Some(Cow::Borrowed(host)),
            headers: HeldRequest::headers_of(sent, &NOT_THE_CALLERS),
            source_ip: address.map(Cow::Borrowed),
            body,
        })
    }

    /// The address that the gateway saw itself: the last of a list. Those before it came with the request, and the client
    /// may have written them.
    fn address<'h>(&self, list: &'h str) -> Result<Option<&'h str>, Problem> {
        let last = list.rsplit(',').next().unwrap_or_default().trim();
        match last.parse::<IpAddr>() {
            Ok(_) => Ok(Some(last)),
            // nginx says so of a Unix socket.
            Err(_) if last == "unix:" => Ok(None),
            Err(_) => Err(Problem::Invalid(format!("{} is not an address", self.address))),
        }
    }
}

/// What rules do not see.
static NOT_THE_CALLERS: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let sets = [&X_FORWARDED, &NGINX].into_iter();
    let of_the_face = sets.flat_map(|set| [&set.method, &set.target, &set.host, &set.address]).chain(&MORE);
    sub_request::not_the_callers(of_the_face)
});
