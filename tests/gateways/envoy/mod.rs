//! Envoy before a server, asking regate by ext_authz: the example configurations, with the real Envoy.

mod bad_messages;
mod credentials;
mod decisions;
mod mcp;
mod messages;
mod outages;
mod paths;
mod rules;
mod told;

use super::scene::Stage;
use crate::harness::envoy::Envoy;

/// The service that Envoy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Grpc,
    Http,
}

impl Service {
    fn example(self) -> &'static str {
        match self {
            Self::Grpc => "envoy.yaml",
            Self::Http => "envoy-http.yaml",
        }
    }
}

/// regate, Envoy that asks it, and the server behind.
struct Gate {
    stage: Stage,
    envoy: Envoy,
}

impl Gate {
    fn new(service: Service) -> Self {
        let stage = Stage::with("[gateways]\nauthentication = \"required\"\n");
        let serving = &stage.regate().serving;
        let asked = match service {
            Service::Grpc => &serving.grpc,
            Service::Http => &serving.address,
        };
        let envoy = Envoy::start(service.example(), asked, &stage.upstream.address, &stage.gateway_token);
        Self { stage, envoy }
    }

    fn address(&self) -> String {
        self.envoy.address()
    }
}

/// Each test with both services.
macro_rules! over_grpc_and_http {
    ($($test:ident),+ $(,)?) => {
        mod grpc {
            $(#[test] fn $test() { super::$test($crate::gateways::envoy::Service::Grpc); })+
        }
        mod http {
            $(#[test] fn $test() { super::$test($crate::gateways::envoy::Service::Http); })+
        }
    };
}
use over_grpc_and_http;
