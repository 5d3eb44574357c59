//! Which credential goes on to the server behind the gateway.
//!
//! **For:** sealed upstream credentials, their reconciliation with the grants, consent flows.
//!
//! **Must never know:** the caller's own credential; SQL; HTTP toward the gateway.
//!
//! **State:** empty. Upstreams and grants are decision data already, and `decision` checks the grant;
//! since no credential can be held, an upstream that needs one is denied with
//! `upstream.credential_missing`.
