//! The service, asked over HTTP as gateways ask it: the real binary, on both databases.

mod bad_input;
mod gateways;
mod held_up;
mod limited;
mod mission;
