//! All integration tests: one binary, since linking is most of a rebuild. `harness` starts what the
//! tests need; each other module tests the room of its name from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking; clippy's own exception covers only the functions marked as tests"
)]

mod audit;
mod authzen;
mod brokering;
mod check;
mod command_line;
mod credentials;
mod decisions;
mod dependencies;
mod documented;
mod documents;
mod examples;
mod faults;
mod floods;
mod fuzzed;
mod gateways;
mod harness;
mod http;
mod introspection;
mod invariants;
mod limits;
mod live;
mod management;
mod management_page;
mod mcp;
mod opa;
mod policies;
mod policy_runner;
mod proof;
mod reload;
mod replay;
mod rooms;
mod sessions;
mod store;
mod telemetry;
mod threats;
mod token_page;
mod transport;
mod upstream_page;
