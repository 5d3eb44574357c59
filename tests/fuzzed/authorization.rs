//! The authorization header: only the exact token is let in, only in the form that the contract has, at every face; and so
//! with the gateway's own.

use axum::{
    body::Body,
    http::{HeaderValue, Request, StatusCode},
};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Value, json};

use super::{
    faces::{Held, Said, ask_all, said_by_decide},
    stated::assert_problem,
    world::{Answer, GATEWAY, READER, ask, post},
};

const TARGET: &str = "/api/v1/projects/website";
/// More values than this teach nothing.
const MOST_VALUES: usize = 4;

/// What the bytes are: a header's values, one a line. A first line that begins with `=` is a bare token beside them.
pub fn holds(bytes: &[u8]) {
    let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    let token = lines[0].strip_prefix(b"=");
    if token.is_some() || bytes.is_empty() {
        lines.remove(0);
    }
    let values = &lines[..lines.len().min(MOST_VALUES)];
    as_the_callers(token, values);
    if token.is_none() {
        as_the_gateways(values);
    }
}

fn as_the_callers(token: Option<&[u8]>, values: &[&[u8]]) {
    let header_is_good = |value: &&[u8]| is_bearer(value, READER);
    let is_good = match (token, values) {
        (None, [value]) => header_is_good(value),
        (Some(token), []) => token == READER.as_bytes(),
        (Some(token), [value]) => token == READER.as_bytes() && header_is_good(value),
        _ => false,
    };
    let said: Vec<Said> = match token {
        Some(token) => ask_with_both(token, values).into_iter().collect(),
        None => {
            let held =
                Held { method: "GET", target: TARGET.as_bytes(), authorization: values, ..Held::default() };
            ask_all(held).into_iter().flatten().collect()
        }
    };
    for (index, one) in said.iter().enumerate() {
        assert_eq!(one.allows(), is_good, "face {index}: {one:?}");
        assert!(!said.iter().any(|other| one.contradicts(other)), "face {index} decides otherwise");
    }
}

/// Whether a value has this token, as RFC 6750 has it: the scheme in any case, white space around all of it.
fn is_bearer(value: &[u8], token: &str) -> bool {
    after_scheme(value, "bearer").is_some_and(|rest| rest == token.as_bytes())
}

/// What stands behind a scheme and at least one space.
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let begin = value.iter().position(|b| !blank(b))?;
    let end = value.iter().rposition(|b| !blank(b))?;
    let (found, rest) = value[begin..=end].split_at_checked(scheme.len())?;
    let token = rest.iter().position(|b| *b != b' ').map(|at| &rest[at..])?;
    (found.eq_ignore_ascii_case(scheme.as_bytes()) && token.len() < rest.len()).then_some(token)
}

fn ask_with_both(token: &[u8], values: &[&[u8]]) -> Option<Said> {
    let token = std::str::from_utf8(token).ok()?;
    let values: Result<Vec<&str>, _> = values.iter().map(|value| std::str::from_utf8(value)).collect();
    let headers = match values.ok()?.as_slice() {
        [] => json!({}),
        [one] => json!({"Authorization": one}),
        several => json!({"authorization": several}),
    };
    let question = json!({"token": token, "request": {"method": "GET", "path": TARGET, "headers": headers}});
    Some(said_by_decide(&post("/v1/decide", question.to_string())))
}

fn as_the_gateways(values: &[&[u8]]) {
    let is_good = matches!(values, [value] if is_bearer(value, GATEWAY));
    let question = json!({"token": READER, "request": {"method": "GET", "path": TARGET}}).to_string();
    if let Some(answer) = ask_as("/v1/decide", "application/json", values, question) {
        // Who need not say who they are may say nothing, but nothing wrong.
        assert_eq!(said_by_decide(&answer).allows(), is_good || values.is_empty(), "asked as a gateway");
    }
    let form = "application/x-www-form-urlencoded";
    if let Some(answer) = ask_as("/v1/introspect", form, values, format!("token={READER}")) {
        let may_ask = is_good || matches!(values, [value] if is_basic(value, GATEWAY));
        if answer.status == StatusCode::OK {
            assert!(may_ask, "introspected for nobody");
            assert_eq!(answer.json()["active"], true);
        } else {
            assert!(!is_good, "not introspected for a gateway");
            assert_refused_as_oauth(&answer);
        }
    }
}

/// RFC 7662 refuses in OAuth's words.
fn assert_refused_as_oauth(answer: &Answer) {
    let told: Value = answer.json();
    if told["error"].is_string() {
        assert!(matches!(answer.status.as_u16(), 400 | 401), "refused with {}", answer.status);
        assert!(told.get("active").is_none(), "a refusal that says what is active");
    } else {
        assert_problem(answer.status, &told);
    }
}

/// Whether a value has this token for its password, read as leniently as anybody does.
fn is_basic(value: &[u8], token: &str) -> bool {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let lenient = GeneralPurpose::new(&alphabet::STANDARD, config);
    let read = after_scheme(value, "basic").and_then(|text| lenient.decode(text).ok());
    read.is_some_and(|read| {
        let colon = read.iter().position(|b| *b == b':');
        colon.is_some_and(|at| &read[at + 1..] == token.as_bytes())
    })
}

fn ask_as(path: &str, content_type: &str, values: &[&[u8]], body: String) -> Option<Answer> {
    let mut request = Request::post(path).header("content-type", content_type);
    for value in values {
        request.headers_mut()?.append("authorization", HeaderValue::from_bytes(value).ok()?);
    }
    Some(ask(request.body(Body::from(body)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::{is_basic, is_bearer};

    #[test]
    fn the_forms_of_the_contract_and_no_others() {
        for good in ["Bearer k", "bEARER   k", " \tBearer k\t "] {
            assert!(is_bearer(good.as_bytes(), "k"), "{good:?}");
        }
        for bad in
            ["", " ", "k", "Bearer", "Bearerk", "Bearer\tk", "Bearer k k", "Basic k", "Bearer K", "Bearer k,"]
        {
            assert!(!is_bearer(bad.as_bytes(), "k"), "{bad:?}");
        }
        assert!(
            is_basic(b"basic eDpr", "k") && !is_basic(b"Basic eGs=", "k") && !is_basic(b"Bearer eDpr", "k")
        );
    }
}
