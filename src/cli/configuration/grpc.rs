//! `[grpc]`: the listener for gRPC.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::ListenAddress;

/// `[grpc]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcSection {
    /// `ADDRESS:PORT` or `unix:PATH` to listen on, or `off`. Left out: `127.0.0.1:9191`, if it is free.
    pub listen: Option<String>,
}

/// Where gRPC is listened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcListener {
    /// Nowhere.
    Off,
    /// Where nobody said anything: where it cannot be had, regate goes on without.
    Default(ListenAddress),
    /// Where somebody said.
    Named(ListenAddress),
}

impl GrpcSection {
    const DEFAULT: &'static str = "127.0.0.1:9191";

    /// Whether to listen at all.
    pub fn is_on(&self) -> bool {
        !matches!(self.listener(), GrpcListener::Off)
    }

    /// Where to listen.
    pub fn listener(&self) -> GrpcListener {
        match self.listen.as_deref() {
            None => GrpcListener::Default(Self::DEFAULT.into()),
            Some("off") => GrpcListener::Off,
            Some(address) => GrpcListener::Named(address.into()),
        }
    }
}
