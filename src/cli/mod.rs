//! The command line: flags, the order of the start, signals, exit codes. The only place where all
//! rooms meet.
//!
//! **For:** putting the parts together, and telling a person what happened.
//!
//! **Must never know:** anything that another room could know instead. A command parses, calls, prints.
//!
//! **To add one more** command: a module with its flags and a `run`, a variant of [`Command`].

mod audit;
mod check;
mod collaborator;
mod configuration;
mod credential_work;
mod credentials;
mod decide;
mod demo;
mod doors;
mod exit;
mod import;
mod log_level;
mod metrics;
mod migrate;
mod open_files;
mod policies;
mod printable;
mod project;
mod recording;
mod reference;
mod replay;
mod rows;
mod secret_input;
mod serve;
mod signals;
mod store;
mod test;
mod tips;
mod token;
mod upstream;
mod user;
mod values;
mod why;

use clap::{Parser, Subcommand};

pub use configuration::{Configuration, ConfigurationError};
pub use exit::{CommandError, Exit};
use printable::printable_lines;

/// The program's name, version and commands.
#[derive(Debug, Parser)]
#[command(
    name = "regate",
    version,
    about = "A policy decision point for gateways: Rego rules over token and collaborator data",
    after_help = "Exit codes: 0 done (decide: allowed), 1 could not be done, 2 failed (test: a test failed; \
                  check: something was found; decide: denied; \
                  token identify: not all are tokens, or --scan found one; replay: more decisions flip than may; \
                  credentials check: a key is missing; credentials rekey: something is left; audit verify: a record does not fit), 3 the policy folder is broken, 64 wrong usage.\n\
                  Try it: regate serve --demo",
    propagate_version = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Decide(decide::Decide),
    Test(test::Test),
    Check(check::Check),
    Replay(replay::Replay),
    Token(token::Token),
    User(user::Users),
    Project(project::Projects),
    Collaborator(collaborator::Collaborators),
    Upstream(upstream::Upstreams),
    Credentials(credentials::UpstreamCredentials),
    Import(import::Import),
    Audit(audit::Audit),
    Migrate(migrate::Migrate),
    Reference(reference::Reference),
}

/// Parses the command line, runs the command and gives the exit code. Messages go to standard error.
pub fn run() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let words: Vec<String> =
                std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
            let error = tips::with_tip(error, &words);
            // `--help` and `--version` come this way as well, and are no mistake.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return exit;
        }
    };
    let result = match arguments.command {
        Command::Serve(command) => command.run(),
        Command::Decide(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::User(command) => command.run(),
        Command::Project(command) => command.run(),
        Command::Collaborator(command) => command.run(),
        Command::Upstream(command) => command.run(),
        Command::Credentials(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Reference(command) => command.run(),
    };
    result.unwrap_or_else(|error| {
        // Whoever reads has seen enough, as `head` does.
        if error.is_broken_pipe() {
            return Exit::Done;
        }
        eprintln!("regate: {}", printable_lines(&error.with_causes()));
        error.exit()
    })
}
