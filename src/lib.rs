//! regate: a policy decision point for gateways.
pub mod decision;
pub mod store;
pub mod types;
