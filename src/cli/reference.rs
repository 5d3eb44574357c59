//! `regate reference`: pages of the documentation that are made from the program itself.

use std::io::{self, Write};

use clap::{Args, CommandFactory, Subcommand};
use clap_markdown::MarkdownOptions;

use super::{
    Arguments,
    configuration::reference,
    exit::{CommandError, Exit},
};

/// Print a reference that is made from the program itself
#[derive(Debug, Args)]
pub(super) struct Reference {
    #[command(subcommand)]
    page: Page,
}

#[derive(Debug, Subcommand)]
enum Page {
    /// All keys of the configuration, with their defaults and variables: docs/configuration.md
    Configuration,
    /// A JSON Schema of the configuration file, for editors
    Schema,
    /// All commands and their flags: docs/commands.md
    Commands,
}

impl Reference {
    /// Prints it.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let text = match self.page {
            Page::Configuration => reference::page(),
            Page::Schema => format!("{:#}\n", reference::schema().to_value()),
            Page::Commands => commands(),
        };
        io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Done)
    }
}

/// The page `docs/commands.md`.
fn commands() -> String {
    let options = MarkdownOptions::new().title("Commands".to_owned()).show_footer(false).show_aliases(true);
    let mut command = Arguments::command();
    // What it says must not hang on the terminal, nor on the variables of whoever makes the page.
    command = command.term_width(0);
    let text = clap_markdown::help_markdown_command_custom(&command, &options);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_end())
}
