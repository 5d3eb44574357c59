//! Where to listen, and where a listener was opened.

use std::{fmt, net::SocketAddr, path::PathBuf};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Address and port; port 0 takes a free one.
    Tcp(String),
    /// The file of a Unix socket.
    Unix(PathBuf),
}

impl From<&str> for ListenAddress {
    /// `ADDRESS:PORT`, or `unix:PATH`.
    fn from(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.to_owned()),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a listener was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddress {
    /// At this port.
    Tcp(SocketAddr),
    /// At this file.
    Unix(PathBuf),
}

impl BoundAddress {
    /// As it is printed: `SCHEME://ADDRESS:PORT`, or `unix:PATH`.
    pub fn with_scheme(&self, scheme: &str) -> String {
        match self {
            Self::Tcp(address) => format!("{scheme}://{address}"),
            Self::Unix(_) => self.to_string(),
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
