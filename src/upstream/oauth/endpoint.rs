//! Where codes and secrets may be sent.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;

use super::OauthError;

pub(super) const NO_URL: &str = "the authorization server's endpoint is no URL";

/// Whether endpoints may be on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loopback {
    /// No: whoever configures an upstream could have regate post to what listens here for nobody else.
    #[default]
    Refused,
    /// Yes, by http too: nothing leaves the machine.
    Allowed,
}

/// Whether codes and secrets may go there: by TLS, or, where that is allowed, without leaving the machine.
///
/// # Errors
/// [`OauthError::Settings`].
pub fn check_endpoint(endpoint: &str, loopback: Loopback) -> Result<(), OauthError> {
    let url = Url::parse(endpoint).map_err(|_| OauthError::Settings(NO_URL))?;
    let here = is_loopback(url.host_str().unwrap_or_default());
    match url.scheme() {
        _ if url.fragment().is_some() => {
            Err(OauthError::Settings("an endpoint of the authorization server has a fragment"))
        }
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err(OauthError::Settings("an endpoint of the authorization server holds a user or a password"))
        }
        "http" | "https" if here && loopback == Loopback::Refused => Err(OauthError::Settings(
            "the authorization server's endpoints are not on this machine, unless `[credentials] loopback_endpoints` allows it",
        )),
        "https" => Ok(()),
        "http" if here => Ok(()),
        _ => Err(OauthError::Settings(
            "the authorization server's endpoints take https; http is for this machine alone, where `[credentials] \
             loopback_endpoints` allows it",
        )),
    }
}

/// Whether a host, as a URL writes it, is this machine: addresses are in their usual form there, whatever they were
/// written as.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let here = |ip: Ipv4Addr| ip.is_loopback() || ip.octets()[0] == 0;
    match host.parse() {
        Ok(IpAddr::V4(ip)) => here(ip),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unspecified() || ip.to_ipv4().is_some_and(here),
        Err(_) => {
            // The last two are in the hosts file of Debian and others.
            matches!(host, "localhost" | "localhost.localdomain" | "ip6-localhost" | "ip6-loopback")
                || host.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Loopback, check_endpoint};

    #[test]
    fn endpoints_are_reached_by_tls_or_where_it_is_allowed_on_this_machine() {
        assert_eq!(check_endpoint("https://login.example/token?tenant=a", Loopback::Refused), Ok(()));
        for here in [
            "http://127.0.0.1:9/token",
            "https://127.0.0.1:9/token",
            "http://127.9.9.9/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.0.0.1./",
            "http://0.0.0.0/token",
            "https://0.0.0.0/token",
            "http://[::1]:9/token",
            "https://[::]/token",
            "https://[::ffff:127.0.0.1]/token",
            "https://[::ffff:0:0]/token",
            "http://localhost/token",
            "https://LOCALHOST./token",
            "https://a.localhost/token",
            "https://ip6-localhost/",
        ] {
            assert_eq!(check_endpoint(here, Loopback::Allowed), Ok(()), "{here}");
            assert!(check_endpoint(here, Loopback::Refused).is_err(), "{here}");
        }
        for wrong in [
            "",
            "token",
            "http://login.example/token",
            "http://localhost.example/token",
            "http://10.0.0.1/token",
            "ftp://127.0.0.1/token",
            "https://user:hunter2@login.example/token",
            "https://user@login.example/token",
            "https://login.example/token#x",
            "file:///etc/passwd",
        ] {
            for loopback in [Loopback::Allowed, Loopback::Refused] {
                let error = check_endpoint(wrong, loopback).unwrap_err();
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        }
    }
}
