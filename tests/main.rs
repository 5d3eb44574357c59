//! All integration tests: one binary, since linking is most of a rebuild. `harness` starts what the
//! tests need; each other module tests the room of its name from outside.

mod harness;
mod store;
