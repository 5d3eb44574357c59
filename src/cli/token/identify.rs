//! `regate token identify`: what a text looks like, offline.

use std::{
    fmt,
    io::{self, BufRead, IsTerminal, Write},
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    auth::{self, FoundToken, TokenFault, TokenFormat},
    cli::exit::{CommandError, Exit},
};

/// Tell whether a text is a well-formed regate token, and of which kind; or find tokens in any text
///
/// Reads standard input and gives a verdict for each line. It needs no configuration and no database, so it says nothing
/// of whether a token was ever minted or is live. It never prints more than the first 12 characters of a token. A
/// secret is no argument: other users of the machine see the arguments of every program.
///
/// Exit code 0: every line is a well-formed token; 2: one is not. With --scan, 0: no token was found; 2: one was.
#[derive(Debug, Args)]
pub(super) struct Identify {
    /// - is standard input, which is read anyway; a token is refused here
    #[arg(value_name = "-")]
    input: Vec<String>,
    /// Find tokens in any text, such as a log, and give the line and the column of each
    #[arg(long)]
    scan: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Identify {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        // INVARIANT: the argument is not repeated: it may be a token.
        if self.input.iter().any(|text| text != "-") {
            let text = "a token is not given as an argument, which other users of the machine can see: write it to \
                        standard input, as in `regate token identify < FILE`";
            return Err(CommandError::Usage(text.to_owned()));
        }
        let mut input = io::stdin().lock();
        if input.is_terminal() {
            let _ = writeln!(io::stderr(), "reading standard input, one text a line; Ctrl-D ends it");
        }
        if self.scan { self.scan(&mut input) } else { self.judge(&mut input) }
    }

    fn judge(&self, input: &mut impl BufRead) -> Result<Exit, CommandError> {
        let mut output = io::stdout().lock();
        let mut all_are_tokens = true;
        let mut judge = |number: usize, line: &[u8]| {
            let verdict = Verdict::of(&String::from_utf8_lossy(line));
            all_are_tokens &= matches!(verdict.format, TokenFormat::Regate(_));
            if self.json {
                writeln!(output, "{}", verdict.json(number))
            } else {
                writeln!(output, "{verdict}")
            }
        };
        if for_each_line(input, &mut judge)? == 0 {
            // As when a script's variable is empty: that is no token.
            if self.json {
                writeln!(io::stderr(), "no input")?
            } else {
                writeln!(output, "no input")?
            }
            return Ok(Exit::Failed);
        }
        Ok(if all_are_tokens { Exit::Done } else { Exit::Failed })
    }

    fn scan(&self, input: &mut impl BufRead) -> Result<Exit, CommandError> {
        let mut output = io::stdout().lock();
        let mut found = 0_usize;
        let lines = for_each_line(input, &mut |number, line| {
            for FoundToken { start, kind, prefix } in auth::find(line) {
                found += 1;
                let before = line.get(..start).unwrap_or_default();
                let column = String::from_utf8_lossy(before).chars().count() + 1;
                if self.json {
                    let place = json!({"line": number, "column": column, "kind": kind, "prefix": prefix});
                    writeln!(output, "{place}")?;
                } else {
                    writeln!(output, "{number}:{column}: a regate token of kind {kind} ({prefix}…)")?;
                }
            }
            Ok(())
        })?;
        if !self.json {
            writeln!(output, "{found} regate token(s) in {lines} line(s)")?;
        }
        Ok(if found == 0 { Exit::Done } else { Exit::Failed })
    }
}

/// Hands each line on, with its number and without its end, and gives how many there were.
fn for_each_line(
    input: &mut impl BufRead,
    work: &mut impl FnMut(usize, &[u8]) -> io::Result<()>,
) -> Result<usize, CommandError> {
    let failed = |source| CommandError::Read { path: "standard input".to_owned(), source };
    let (mut line, mut number) = (Vec::new(), 0);
    while input.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        work(number, text.strip_suffix(b"\r").unwrap_or(text))?;
        line.clear();
    }
    Ok(number)
}

/// What is said of one text. It holds nothing of it but the beginning of a well-formed token.
struct Verdict {
    format: TokenFormat,
    prefix: Option<String>,
}

impl Verdict {
    fn of(text: &str) -> Self {
        let format = auth::identify(text);
        let token = auth::find(text.as_bytes()).next();
        let prefix = token.filter(|_| matches!(format, TokenFormat::Regate(_))).map(|token| token.prefix);
        Self { format, prefix }
    }

    fn json(&self, line: usize) -> Value {
        let (verdict, kind, fault) = match self.format {
            TokenFormat::Regate(kind) => ("token", Some(kind), None),
            TokenFormat::Broken(fault) => {
                let (kind, fault) = match fault {
                    TokenFault::Kind => (None, "kind"),
                    TokenFault::Length(kind) => (Some(kind), "length"),
                    TokenFault::Alphabet(kind) => (Some(kind), "alphabet"),
                    TokenFault::Checksum(kind) => (Some(kind), "checksum"),
                };
                ("broken", kind, Some(fault))
            }
            TokenFormat::Foreign => ("foreign", None, None),
        };
        json!({"line": line, "verdict": verdict, "kind": kind, "fault": fault, "prefix": self.prefix})
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broken = "broken: it begins as a regate token";
        match self.format {
            TokenFormat::Regate(kind) => {
                let prefix = self.prefix.as_deref().unwrap_or_default();
                write!(f, "a well-formed regate token of kind {kind} ({prefix}…)")
            }
            TokenFormat::Broken(TokenFault::Kind) => {
                write!(f, "{broken}, but what follows rgt_ is no kind")
            }
            TokenFormat::Broken(TokenFault::Length(kind)) => {
                write!(f, "{broken} of kind {kind}, but has not 49 characters after the kind")
            }
            TokenFormat::Broken(TokenFault::Alphabet(kind)) => {
                write!(f, "{broken} of kind {kind}, but has a character that is none of 0-9A-Za-z")
            }
            TokenFormat::Broken(TokenFault::Checksum(kind)) => {
                write!(f, "{broken} of kind {kind}, but its checksum is wrong: mistyped, or made up")
            }
            TokenFormat::Foreign => f.write_str("not a regate token"),
        }
    }
}
