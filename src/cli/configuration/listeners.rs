//! What the sections about listeners mean together.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{Authentication, Configuration, ConfigurationError};
use crate::api::{GatewayAuthentication, ListenAddress, ListenOptions, Tls};

impl Configuration {
    /// How listeners are opened.
    pub fn listen_options(&self, tls: Option<Arc<Tls>>) -> ListenOptions {
        ListenOptions { socket_mode: self.http.socket_mode, tls, ..ListenOptions::default() }
    }

    /// Whether gateways must authenticate.
    ///
    /// # Errors
    /// [`ConfigurationError::OpenListener`] when they need not and a listener can be reached from
    /// another machine.
    pub fn authentication(&self) -> Result<GatewayAuthentication, ConfigurationError> {
        if self.gateways.authentication == Authentication::Required {
            return Ok(GatewayAuthentication::Required);
        }
        let grpc = self.grpc.listen.iter().filter(|listen| *listen != "off");
        match [&self.http.listen].into_iter().chain(grpc).find(|listen| !is_local(listen)) {
            None => Ok(GatewayAuthentication::Optional),
            Some(open) => Err(ConfigurationError::OpenListener(open.clone())),
        }
    }

    /// Refuses what cannot be listened on.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`], which names the key.
    pub fn check_listeners(&self) -> Result<(), ConfigurationError> {
        let listeners = [
            ("http", Some(&self.http.listen)),
            ("grpc", self.grpc.listen.as_ref().filter(|listen| *listen != "off")),
            ("metrics", self.metrics.listen.as_ref()),
        ];
        let mut taken: Vec<(&str, ListenAddress)> = Vec::new();
        for (section, listen) in listeners {
            let Some(listen) = listen else { continue };
            let refused = |problem: String| {
                Err(ConfigurationError::Value { key: format!("{section}.listen").into(), problem })
            };
            let address = ListenAddress::from(listen.as_str());
            match &address {
                ListenAddress::Unix(path) if path.as_os_str().is_empty() => {
                    let problem = "name the socket's file behind unix:, such as unix:/run/regate/regate.sock";
                    return refused(problem.to_owned());
                }
                ListenAddress::Tcp(text) if !is_address_and_port(text) => {
                    return refused(format!("{text:?} is not ADDRESS:PORT (127.0.0.1:8181) or unix:PATH"));
                }
                ListenAddress::Unix(_) | ListenAddress::Tcp(_) => {}
            }
            if let Some((other, _)) = taken.iter().find(|(_, other)| is_same(other, &address)) {
                return refused(format!(
                    "[{other}] listen and [{section}] listen are the same: name another"
                ));
            }
            taken.push((section, address));
        }
        self.tls.files().map(|_| ())
    }
}

fn is_address_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Whether nobody can listen on both. Port 0 is another one each time.
fn is_same(one: &ListenAddress, other: &ListenAddress) -> bool {
    one == other && !matches!(one, ListenAddress::Tcp(address) if address.ends_with(":0"))
}

/// Whether only this machine can reach an address. A name other than `localhost` might resolve to
/// anything.
fn is_local(listen: &str) -> bool {
    let address = match ListenAddress::from(listen) {
        ListenAddress::Unix(_) => return true,
        ListenAddress::Tcp(address) => address,
    };
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// The permissions of a file, such as `0660`.
pub(super) fn socket_mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
    mode.ok_or_else(|| {
        D::Error::custom(format!("{text:?} is not a file's permissions in octal, such as \"0660\""))
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use crate::{
        api::GatewayAuthentication,
        cli::configuration::{Configuration, grpc::GrpcListener},
    };

    fn read(toml: &str) -> Result<Configuration, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = PathBuf::from(folder.path()).join("regate.toml");
        fs::write(&path, toml).unwrap();
        Configuration::read(Some(&path), std::iter::empty()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_listener_that_others_can_reach_needs_authentication() {
        for (listen, open) in [
            ("127.0.0.1:1", true),
            ("127.8.8.8:1", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            ("unix:/run/regate.sock", true),
            ("unix:0.0.0.0:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("192.168.0.1:1", false),
            ("example.org:1", false),
        ] {
            for section in ["http", "grpc"] {
                let toml = format!("[{section}]\nlisten = \"{listen}\"");
                assert_eq!(read(&toml).unwrap().authentication().is_ok(), open, "{section} {listen}");
                let toml = format!("{toml}\n[gateways]\nauthentication = \"required\"");
                let required = read(&toml).unwrap().authentication();
                assert!(matches!(required, Ok(GatewayAuthentication::Required)), "{listen}");
            }
        }
    }

    #[test]
    fn grpc_has_an_address_of_its_own_and_can_be_turned_off() {
        let listener = |toml: &str| read(toml).unwrap().grpc.listener();
        assert_eq!(listener(""), GrpcListener::Default("127.0.0.1:9191".into()));
        assert_eq!(listener("[grpc]\nlisten = \"off\""), GrpcListener::Off);
        assert_eq!(listener("[grpc]\nlisten = \"unix:/a\""), GrpcListener::Named("unix:/a".into()));
        assert!(read("[grpc]\nlisten = \"off\"").unwrap().authentication().is_ok());
    }

    #[test]
    fn what_cannot_be_listened_on_is_named() {
        assert!(read("[http]\nlisten = \"unix:\"").unwrap_err().contains("http.listen"));
        assert!(read("[grpc]\nlisten = \"unix:\"").unwrap_err().contains("grpc.listen"));
        for (section, listen) in [
            ("http", "8181"),
            ("http", "off"),
            ("http", ":1"),
            ("http", "127.0.0.1:"),
            ("http", "127.0.0.1:65536"),
            ("http", "/run/regate.sock"),
            ("grpc", "nonsense"),
            ("metrics", "off"),
        ] {
            let error = read(&format!("[{section}]\nlisten = {listen:?}")).unwrap_err();
            let expected = format!("{section}.listen: {listen:?} is not ADDRESS:PORT");
            assert!(error.contains(&expected), "{error}");
        }
        for address in ["127.0.0.1:1", "unix:/a"] {
            let same = |one: &str, other: &str| {
                read(&format!("[{one}]\nlisten = {address:?}\n[{other}]\nlisten = {address:?}")).unwrap_err()
            };
            let error = same("http", "grpc");
            assert!(error.contains("grpc.listen: [http] listen and [grpc] listen are the same"), "{error}");
            assert!(same("http", "metrics").contains("[http] listen and [metrics] listen"));
        }
        let any = "listen = \"127.0.0.1:0\"";
        assert!(read(&format!("[http]\n{any}\n[grpc]\n{any}")).is_ok());
        for mode in ["rw", "888", "1777", "-1", "+7", ""] {
            let error = read(&format!("[http]\nsocket_mode = \"{mode}\"")).unwrap_err();
            assert!(error.contains("0660"), "{error}");
        }
        assert_eq!(read("[http]\nsocket_mode = \"0600\"").unwrap().http.socket_mode, 0o600);
    }

    #[test]
    fn a_certificate_needs_a_key_and_an_authority_of_clients_needs_both() {
        for (toml, key) in [
            ("certificate = \"a\"", "tls.key"),
            ("key = \"a\"", "tls.certificate"),
            ("client_ca = \"a\"", "tls.certificate"),
            ("client_ca = \"a\"\nkey = \"b\"", "tls.certificate"),
        ] {
            assert!(read(&format!("[tls]\n{toml}")).unwrap_err().contains(key), "{toml}");
        }
        assert!(read("[tls]\ncertificate = \"a\"\nkey = \"b\"").unwrap().tls.files().unwrap().is_some());
    }

    #[test]
    fn the_end_waits_for_load_balancers_only_if_it_is_told_to() {
        assert!(read("").unwrap().http.drain_delay.is_zero());
        assert!(read("[http]\ndrain_delay = \"0s\"").unwrap().http.drain_delay.is_zero());
        assert_eq!(read("[http]\ndrain_delay = \"5s\"").unwrap().http.drain_delay.as_secs(), 5);
        assert!(read("[http]\ndrain_delay = \"-5s\"").unwrap_err().contains("-5s"));
    }
}
