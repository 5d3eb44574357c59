//! The program `regate`: parses, runs, exits.

use std::process::ExitCode;

/// Decisions allocate small short-lived values on many threads: measured in `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    regate::cli::run().into()
}
