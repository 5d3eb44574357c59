//! Where codes and secrets may be sent.

use std::net::IpAddr;

use reqwest::Url;

use super::OauthError;

pub(super) const NO_URL: &str = "the authorization server's endpoint is no URL";

/// Whether codes and secrets may go there: by TLS, or without leaving the machine.
///
/// # Errors
/// [`OauthError::Settings`].
pub fn check_endpoint(endpoint: &str) -> Result<(), OauthError> {
    let url = Url::parse(endpoint).map_err(|_| OauthError::Settings(NO_URL))?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match url.scheme() {
        _ if url.fragment().is_some() => {
            Err(OauthError::Settings("an endpoint of the authorization server has a fragment"))
        }
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err(OauthError::Settings("an endpoint of the authorization server holds a user or a password"))
        }
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err(OauthError::Settings(
            "the authorization server's endpoints take https; http is for this machine (127.0.0.1, ::1, localhost) alone",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::check_endpoint;

    #[test]
    fn endpoints_are_reached_by_tls_or_on_this_machine() {
        for good in [
            "https://login.example/token?tenant=a",
            "http://127.0.0.1:9/token",
            "http://127.9.9.9/",
            "http://[::1]:9/token",
            "http://localhost/token",
        ] {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for wrong in [
            "",
            "token",
            "http://login.example/token",
            "http://localhost.example/token",
            "http://10.0.0.1/token",
            "http://0.0.0.0/token",
            "ftp://127.0.0.1/token",
            "https://user:hunter2@login.example/token",
            "https://user@login.example/token",
            "https://login.example/token#x",
            "file:///etc/passwd",
        ] {
            let error = check_endpoint(wrong).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
