//! The parameters of a call: a form, each parameter once (RFC 6749 section 3.2 and appendix B).

use axum::http::{HeaderMap, header};
use zeroize::Zeroizing;

use super::error::OauthError;

/// What a call is about. No `Debug`: the token is in it.
pub(super) struct Form {
    pub token: Zeroizing<String>,
}

const FORM: &str = "application/x-www-form-urlencoded";

impl Form {
    /// # Errors
    /// [`OauthError::NotAForm`] for a body of any other type, or of two.
    pub fn check_type(headers: &HeaderMap) -> Result<(), OauthError> {
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let is_form = types.next().and_then(|value| value.to_str().ok()).is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case(FORM)
        });
        let as_it_is = !headers.contains_key(header::CONTENT_ENCODING);
        if is_form && types.next().is_none() && as_it_is { Ok(()) } else { Err(OauthError::NotAForm) }
    }

    /// Reads a body. A parameter without a value counts as left out; `token_type_hint` and unknown ones say nothing that is
    /// needed here.
    ///
    /// # Errors
    /// [`OauthError`] for a token that is missing, longer than `longest` bytes or there twice, and for a hint that is there twice.
    pub fn read(body: &[u8], longest: usize) -> Result<Self, OauthError> {
        let mut token = None;
        let mut hints = 0;
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "token" if token.is_some() => return Err(OauthError::Invalid("token is there twice")),
                "token" => token = Some(Zeroizing::new(value.into_owned())),
                "token_type_hint" => hints += 1,
                _ => {}
            }
        }
        if hints > 1 {
            return Err(OauthError::Invalid("token_type_hint is there twice"));
        }
        let token = token.filter(|token| !token.is_empty());
        let token =
            token.ok_or(OauthError::Invalid("token is missing: send it as a parameter of the form"))?;
        if token.len() > longest {
            return Err(OauthError::TooLarge);
        }
        Ok(Self { token })
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn a_parameter_is_there_once() {
        let read = |body: &str| Form::read(body.as_bytes(), 8).ok().map(|form| form.token.to_string());
        assert_eq!(read("token=k1").as_deref(), Some("k1"));
        assert_eq!(read("token_type_hint=access_token&token=k%31&x=1&x=2").as_deref(), Some("k1"));
        for wrong in
            ["", "token", "token=", "Token=k1", "token=k1&token=k1", "token=&token=k1", "token=123456789"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read("token=k1&token_type_hint=a&token_type_hint=b"), None);
    }
}
