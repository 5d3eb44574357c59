//! Forward authentication's headers: nobody is believed who is no gateway, and behind a gateway that sets its headers no
//! client gets anywhere by adding others.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Request, StatusCode},
};

use super::{
    faces::{Said, said_by_nginx_status, said_by_status},
    world::{Answer, GATEWAY, READER, ask},
};

/// The paths of the face, and the headers that their gateways set.
const FACES: [(&str, [&str; 4]); 2] = [
    ("/v1/forward-auth", ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "x-forwarded-for"]),
    ("/v1/forward-auth/nginx", ["x-original-method", "x-original-uri", "x-original-host", "x-original-for"]),
];

/// More headers than this teach nothing.
const MOST_HEADERS: usize = 24;

/// What the bytes are: the query of the gateway's URL on the first line, then headers, and behind an empty line a body.
pub fn holds(bytes: &[u8]) {
    let Some(sent) = Sent::read(bytes) else { return };
    for (face, names) in FACES {
        let unknown = sent.request(face, sent.query, &[], |_| true);
        if let Some(answer) = unknown.map(ask) {
            assert_eq!(said(face, &answer), Said::Refused, "somebody unknown is believed");
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "refused otherwise");
        }
        let gateway = ("x-regate-gateway-token", GATEWAY);
        let anyhow = sent.request(face, sent.query, &[gateway], |_| true);
        if let Some(answer) = anyhow.map(ask) {
            assert!(!said(face, &answer).allows(), "let through without a right");
        }
        // A gateway that replaces what it sets, and a client that may read the website.
        let authorization = format!("Bearer {READER}");
        let set = |target| {
            let values = ["GET", target, "api.example", "192.0.2.7"];
            let set = names.into_iter().zip(values);
            set.chain([gateway, ("authorization", authorization.as_str())]).collect::<Vec<_>>()
        };
        let is_the_clients = |name: &str| !names.contains(&name) && name != gateway.0;
        for (target, may) in [("/api/v1/projects/payroll", false), ("/api/v1/projects/website", true)] {
            let request = sent.request(face, b"upstream=-", &set(target), is_the_clients);
            if let Some(answer) = request.map(ask) {
                assert!(may || !said(face, &answer).allows(), "a client gets elsewhere");
            }
        }
    }
}

fn said(face: &str, answer: &Answer) -> Said {
    if face.ends_with("nginx") { said_by_nginx_status(answer) } else { said_by_status(answer, answer.status) }
}

/// The bytes, taken apart.
struct Sent<'a> {
    query: &'a [u8],
    headers: Vec<(HeaderName, HeaderValue)>,
    body: &'a [u8],
}

impl<'a> Sent<'a> {
    /// What HTTP could carry of them.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (query, mut rest) = line(bytes);
        let mut headers = Vec::new();
        while !rest.is_empty() && headers.len() < MOST_HEADERS {
            let (header, behind) = line(rest);
            rest = behind;
            if header.is_empty() {
                break;
            }
            let colon = header.iter().position(|b| *b == b':')?;
            let name = HeaderName::from_bytes(&header[..colon]).ok()?;
            let value = HeaderValue::from_bytes(header[colon + 1..].trim_ascii()).ok()?;
            headers.push((name, value));
        }
        Some(Self { query, headers, body: rest })
    }

    /// Asked by a gateway that sets these headers, and sends on those of the others that are meant.
    fn request(
        &self,
        face: &str,
        query: &[u8],
        set: &[(&str, &str)],
        sends_on: impl Fn(&str) -> bool,
    ) -> Option<Request<Body>> {
        let uri = [face.as_bytes(), b"?", query].concat();
        let method = if self.body.is_empty() { "GET" } else { "POST" };
        let mut request = Request::builder().method(method).uri(uri.as_slice());
        let headers = request.headers_mut()?;
        for (name, value) in set {
            headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
        }
        for (name, value) in self.headers.iter().filter(|(name, _)| sends_on(name.as_str())) {
            headers.append(name, value.clone());
        }
        request.body(Body::from(self.body.to_vec())).ok()
    }
}

/// The first line, and what stands behind it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| *b == b'\n');
    end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            faces::Said,
            world::{GATEWAY, READER, ask},
        },
        FACES, Sent, said,
    };

    #[test]
    fn a_request_that_may_pass_does() {
        for (face, [method, uri, host, address]) in FACES {
            let text = format!(
                "upstream=-\n{method}: GET\n{uri}: /api/v1/projects/website\n{host}: a\n{address}: ::1\n\
                 authorization: Bearer {READER}\nx-regate-gateway-token: {GATEWAY}\n"
            );
            let sent = Sent::read(text.as_bytes()).unwrap();
            let answer = ask(sent.request(face, sent.query, &[], |_| true).unwrap());
            assert_eq!(said(face, &answer), Said::Allowed);
        }
    }
}
