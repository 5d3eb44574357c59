//! What an authorization server answers, and what of it is taken.

use std::{error::Error, fmt, io, time::Duration};

use oauth2::{
    RequestTokenError, TokenResponse,
    basic::{BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse, BasicTokenType},
};
use serde::{Deserialize, de::IgnoredAny};

use crate::{types::SecretText, upstream::check_secret};

/// Why the server gave no token: the closed list of RFC 6749 section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request lacks something.
    InvalidRequest,
    /// It does not take regate for who it says it is.
    InvalidClient,
    /// The code or the refresh token is not good, or no more.
    InvalidGrant,
    /// This client may not do that.
    UnauthorizedClient,
    /// It has no such grants.
    UnsupportedGrantType,
    /// A scope is not good.
    InvalidScope,
    /// Something that no standard knows.
    Other,
}

impl Refusal {
    fn of(code: &BasicErrorResponseType) -> Self {
        match code {
            BasicErrorResponseType::InvalidRequest => Self::InvalidRequest,
            BasicErrorResponseType::InvalidClient => Self::InvalidClient,
            BasicErrorResponseType::InvalidGrant => Self::InvalidGrant,
            BasicErrorResponseType::UnauthorizedClient => Self::UnauthorizedClient,
            BasicErrorResponseType::UnsupportedGrantType => Self::UnsupportedGrantType,
            BasicErrorResponseType::InvalidScope => Self::InvalidScope,
            // GitHub's words for it (docs.github.com, "Refreshing user access tokens").
            BasicErrorResponseType::Extension(code)
                if matches!(code.as_str(), "bad_refresh_token" | "bad_verification_code") =>
            {
                Self::InvalidGrant
            }
            BasicErrorResponseType::Extension(_) => Self::Other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::Other => "other",
        })
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OauthError {
    /// What is configured cannot be used.
    #[error("{0}")]
    Settings(&'static str),
    /// The server says no.
    #[error("it refuses ({0})")]
    Refused(Refusal),
    /// The server says something that is no token.
    #[error("{0}")]
    Unusable(&'static str),
    /// It does not answer, or not now. Why is for the log.
    #[error("it cannot be reached")]
    Unreachable(NoAnswer),
}

/// Why there is no answer: its kind alone, since the words of an error may be the server's (those of a certificate).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// This machine has nothing to ask with.
    #[error("there is no client: {0}")]
    Client(String),
    /// It took too long.
    #[error("it did not answer in time")]
    Time,
    /// There is no connection.
    #[error("there is no connection{}", .0.map(|kind| format!(" ({kind})")).unwrap_or_default())]
    Connection(Option<io::ErrorKind>),
    /// The answer broke off, or is no HTTP.
    #[error("its answer cannot be read")]
    Broken,
    /// It cannot answer now.
    #[error("it answers {0}")]
    Status(u16),
}

/// What the server gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// What goes on to the upstream. Good as a header's value.
    pub access: SecretText,
    /// What the next one is had with.
    pub refresh: Option<SecretText>,
    /// For how long the first is good, from the moment it was asked for.
    pub expires_in: Option<Duration>,
}

/// Some servers (GitHub's) say 200 and mean an error.
pub(super) fn is_error(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Members {
        error: Option<IgnoredAny>,
        access_token: Option<IgnoredAny>,
    }
    serde_json::from_slice(body)
        .is_ok_and(|members: Members| members.error.is_some() && members.access_token.is_none())
}

/// What of an answer is taken.
pub(super) fn taken(
    answer: Result<BasicTokenResponse, RequestTokenError<OauthError, BasicErrorResponse>>,
) -> Result<Tokens, OauthError> {
    const NO_TOKEN: OauthError = OauthError::Unusable("its answer is no token");
    let answer = answer.map_err(|error| match error {
        RequestTokenError::ServerResponse(response) => OauthError::Refused(Refusal::of(response.error())),
        RequestTokenError::Request(error) => error,
        // They hold what the server said.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => NO_TOKEN,
    })?;
    if *answer.token_type() != BasicTokenType::Bearer {
        return Err(OauthError::Unusable("its token is not of the type `bearer`"));
    }
    let access = SecretText::new(answer.access_token().secret().clone());
    check_secret("access_token", &access)
        .map_err(|_| OauthError::Unusable("its token cannot stand in a header"))?;
    let refresh = answer.refresh_token().map(|token| token.secret().clone()).filter(|text| !text.is_empty());
    Ok(Tokens { access, refresh: refresh.map(SecretText::new), expires_in: answer.expires_in() })
}

/// There is no answer to read.
pub(super) fn no_answer(error: &reqwest::Error) -> OauthError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut kind = None;
    while let Some(found) = cause {
        kind = found.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        cause = found.source();
    }
    OauthError::Unreachable(match () {
        () if error.is_timeout() => NoAnswer::Time,
        () if error.is_connect() => NoAnswer::Connection(kind),
        () => NoAnswer::Broken,
    })
}

#[cfg(test)]
mod tests {
    use oauth2::{RequestTokenError, basic::BasicErrorResponseType};

    use super::{OauthError, Refusal, is_error, taken};

    fn read(body: &str) -> Result<super::Tokens, OauthError> {
        taken(serde_json::from_str(body).map_err(|_| RequestTokenError::Other(body.to_owned())))
    }

    #[test]
    fn of_an_answer_a_bearer_token_is_taken_that_can_stand_in_a_header() {
        for form in ["bearer", "Bearer", "BEARER"] {
            let body = format!(r#"{{"access_token":"a","token_type":"{form}","refresh_token":"","x":1}}"#);
            let tokens = read(&body).unwrap();
            assert_eq!(
                (tokens.access.expose(), tokens.refresh.is_some(), tokens.expires_in),
                ("a", false, None)
            );
        }
        for wrong in [
            r#"{"access_token":"hunter2","token_type":"mac"}"#,
            r#"{"access_token":"hunter2"}"#,
            r#"{"access_token":"hunter2\r\nx: y","token_type":"bearer"}"#,
            r#"{"access_token":" hunter2","token_type":"bearer"}"#,
            r#"{"access_token":"","token_type":"bearer"}"#,
            r#"{"access_token":["hunter2"],"token_type":"bearer"}"#,
            "hunter2",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(matches!(error, OauthError::Unusable(_)), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_the_server_says_no_with_is_one_of_a_few_words() {
        let of = |code: &str| Refusal::of(&serde_json::from_value(code.into()).unwrap());
        for code in [
            "invalid_request",
            "invalid_client",
            "invalid_grant",
            "unauthorized_client",
            "unsupported_grant_type",
            "invalid_scope",
        ] {
            assert_eq!(of(code).to_string(), code);
        }
        assert_eq!(of("bad_refresh_token"), Refusal::InvalidGrant);
        assert_eq!(of("hunter2").to_string(), "other");
        assert_eq!(Refusal::of(&BasicErrorResponseType::Extension(String::new())), Refusal::Other);
    }

    #[test]
    fn an_error_is_known_by_its_member() {
        assert!(is_error(br#"{"error":"x"}"#) && is_error(br#"{"error":{}}"#));
        for other in ["", "{}", "[]", r#"{"error":null}"#, r#"{"error":"x","access_token":"y"}"#, "hunter2"] {
            assert!(!is_error(other.as_bytes()), "{other}");
        }
    }
}
