//! regate: a policy decision point for gateways. It answers "may this caller do this?" from Rego
//! rules over token and collaborator data.
//!
//! The rooms, and what each may use, are in `docs/architecture.md`; a test holds the code to it.

pub mod api;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod decision;
pub mod feed;
pub mod limits;
pub mod policy;
pub mod store;
pub mod telemetry;
pub mod types;
pub mod upstream;
