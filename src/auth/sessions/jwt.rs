//! The parts of a JWT (RFC 7519) in the compact form (RFC 7515 section 7.1), before anything is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{Algorithm, strict};
use crate::types::SessionRefusal;

/// A longer header, as it is written, is none of ours.
const LONGEST_HEADER: usize = 8 * 1024;

/// A text that is a JWT by its form.
pub(super) struct Jwt<'a> {
    /// What the signature is over: header, dot, claims.
    pub signed: &'a str,
    /// The signature, as it is written.
    pub signature: &'a str,
    header: Vec<u8>,
    claims: &'a str,
}

/// What the header says that is of use. Keys that it brings along (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
}

impl<'a> Jwt<'a> {
    /// Three parts, of which the first is a JSON object with a member `alg`. Everything else is some other
    /// token.
    pub fn recognise(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        if claims.contains('.') || header.len() > LONGEST_HEADER {
            return None;
        }
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let members: Map<String, Value> = serde_json::from_slice(&header).ok()?;
        members.contains_key("alg").then_some(Self { signed, signature, header, claims })
    }

    /// Reads the header.
    ///
    /// # Errors
    /// [`SessionRefusal::Malformed`] for one that has two readings, or asks for something that is not
    /// understood: `crit` (RFC 7515 section 4.1.11), `b64` (RFC 7797), another `typ` than a JWT's (RFC 8725
    /// section 3.11). [`SessionRefusal::AlgorithmNotAllowed`] for `none` and every other algorithm that is
    /// not one of ours.
    pub fn header(&self) -> Result<Header, SessionRefusal> {
        let members = strict::object(&self.header).ok_or(SessionRefusal::Malformed)?;
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(SessionRefusal::Malformed),
        };
        if members.contains_key("crit") || members.contains_key("b64") || !text("typ")?.is_none_or(is_jwt) {
            return Err(SessionRefusal::Malformed);
        }
        let algorithm = text("alg")?.ok_or(SessionRefusal::Malformed)?;
        let algorithm = algorithm.parse().map_err(|_| SessionRefusal::AlgorithmNotAllowed)?;
        Ok(Header { algorithm, key_id: text("kid")?.map(str::to_owned) })
    }

    /// Reads the claims. Nothing in them is true before the signature is.
    ///
    /// # Errors
    /// [`SessionRefusal::Malformed`] for what is no JSON object with one reading.
    pub fn unverified_claims(&self) -> Result<Map<String, Value>, SessionRefusal> {
        let claims = URL_SAFE_NO_PAD.decode(self.claims).map_err(|_| SessionRefusal::Malformed)?;
        strict::object(&claims).ok_or(SessionRefusal::Malformed)
    }
}

/// `JWT` (RFC 7519 section 5.1) or `at+jwt` (RFC 9068 section 2.1), in any case.
fn is_jwt(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::{Algorithm, Header, Jwt, LONGEST_HEADER};
    use crate::types::SessionRefusal;

    fn with_header(header: &str) -> String {
        format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header))
    }

    fn header(header: &str) -> Result<Header, SessionRefusal> {
        Jwt::recognise(&with_header(header)).unwrap().header()
    }

    #[test]
    fn what_is_no_jwt_by_its_form_is_some_other_token() {
        for header in ["", "x", "[]", "{}", "{\"typ\": \"JWT\"}", "\"alg\"", "{\"alg\": 1"] {
            assert!(Jwt::recognise(&with_header(header)).is_none(), "{header}");
        }
        let good = with_header("{\"alg\": \"RS256\"}");
        assert!(Jwt::recognise(&good).is_some());
        assert!(Jwt::recognise(&format!("{}.e30.", URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"))).is_some());
        for other in
            [format!("{good}.x"), format!("{good}.x.y"), good.replacen('.', "", 1), format!("={good}")]
        {
            assert!(Jwt::recognise(&other).is_none(), "{other}");
        }
        let long = format!("{{\"alg\": \"RS256\", \"x\": \"{}\"}}", "x".repeat(LONGEST_HEADER));
        assert!(Jwt::recognise(&with_header(&long)).is_none());
        assert!(Jwt::recognise("ib_mcp_test").is_none());
    }

    #[test]
    fn a_header_has_one_reading_and_asks_for_nothing_that_is_not_understood() {
        let good = Header { algorithm: Algorithm::ES256, key_id: Some("k1".into()) };
        assert_eq!(header(r#"{"alg": "ES256", "kid": "k1", "typ": "at+JWT"}"#), Ok(good));
        for plain in ["{\"alg\":\"RS256\"}", "{\"alg\":\"RS256\",\"typ\":\"application/jwt\",\"jku\":\"x\"}"]
        {
            assert_eq!(header(plain), Ok(Header { algorithm: Algorithm::RS256, key_id: None }), "{plain}");
        }
        for malformed in [
            r#"{"alg": "RS256", "alg": "RS256"}"#,
            r#"{"alg": null}"#,
            r#"{"alg": ["RS256"]}"#,
            r#"{"alg": "RS256", "kid": 1}"#,
            r#"{"alg": "RS256", "typ": "dpop+jwt"}"#,
            r#"{"alg": "RS256", "typ": null}"#,
            r#"{"alg": "RS256", "crit": []}"#,
            r#"{"alg": "RS256", "crit": ["b64"], "b64": false}"#,
            r#"{"alg": "RS256", "b64": true}"#,
        ] {
            assert_eq!(header(malformed), Err(SessionRefusal::Malformed), "{malformed}");
        }
        for none in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "ES256K", "RS1", "dir"] {
            let refused = header(&format!("{{\"alg\": \"{none}\"}}"));
            assert_eq!(refused, Err(SessionRefusal::AlgorithmNotAllowed), "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), header in any::<Vec<u8>>(), claims in any::<Vec<u8>>()) {
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let member = format!("{{\"alg\":\"RS256\",\"kid\":{text:?}}}");
            for header in [encode(&header), encode(member.as_bytes()), text.clone()] {
                for claims in [encode(&claims), text.clone()] {
                    if let Some(jwt) = Jwt::recognise(&format!("{header}.{claims}.{text}")) {
                        let _ = (jwt.header(), jwt.unverified_claims());
                    }
                }
            }
        }
    }
}
