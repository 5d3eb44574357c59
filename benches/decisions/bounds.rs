//! What was asked for, beside what was measured; and the end of a benchmark that misses a bound.

use comfy_table::{Table, presets::ASCII_MARKDOWN};

/// A Markdown table with these headings.
pub fn table<const COLUMNS: usize>(headings: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(headings);
    table
}

/// The bounds of one benchmark.
#[derive(Default)]
pub struct Bounds(Vec<Bound>);

struct Bound {
    what: String,
    asked: String,
    measured: String,
    met: bool,
}

impl Bounds {
    /// What is measured must not be less.
    pub fn at_least(&mut self, what: impl Into<String>, bound: f64, measured: f64) {
        self.add(what.into(), format!("at least {bound}"), measured, measured >= bound);
    }

    /// What is measured must be less.
    pub fn below(&mut self, what: impl Into<String>, bound: f64, measured: f64) {
        self.add(what.into(), format!("below {bound}"), measured, measured < bound);
    }

    fn add(&mut self, what: String, asked: String, measured: f64, met: bool) {
        self.0.push(Bound { what, asked, measured: format!("{measured:.3}"), met });
    }

    /// Prints them all. Where one is missed the program ends with 1: `./proof` looks at that, and at these lines.
    pub fn end(self) {
        println!("\nBounds\n");
        let mut table = table(["bound", "asked for", "measured", "met"]);
        for Bound { what, asked, measured, met } in &self.0 {
            let met = if *met { "yes" } else { "no" };
            table.add_row([what.as_str(), asked, measured, met]);
        }
        println!("{table}");
        let missed = self.0.iter().filter(|bound| !bound.met);
        for Bound { what, asked, measured, .. } in missed.clone() {
            println!("missed: {what}: {measured}, asked for {asked}");
        }
        if missed.count() > 0 {
            std::process::exit(1);
        }
    }
}
