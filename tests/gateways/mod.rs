//! Real gateways that ask regate: the program, a gateway before it, and a server behind the gateway that writes down what
//! reaches it.

mod caddy;
mod envoy;
mod expectations;
mod ext_authz_http;
mod forward_auth;
mod nginx;
pub mod scene;
mod traefik;
