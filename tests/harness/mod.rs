//! The real parts that tests talk to: started here, on free ports of the loopback, in temporary
//! folders, and gone when the test process is.

pub mod behind;
pub mod caddy;
pub mod collector;
pub mod envoy;
pub mod http;
pub mod nginx;
pub mod oauth;
pub mod pgbouncer;
pub mod policies;
pub mod postgres;
pub mod program;
pub mod python;
pub mod record;
pub mod redis;
pub mod supervised;
