//! What more of everything costs: rows, rules, connections, questions in one batch.
//!
//! Each part gives curves; tables and pictures are made from them and from nothing else. They are written to
//! `growth.json`, and `--redraw` makes tables and pictures of that file again.

mod batches;
mod connections;
mod curves;
mod deciding;
mod publishing;
mod rows;
mod rules;

pub use rules::compile_alone;

use self::curves::{Growth, Part};
use crate::options::Options;

/// The parts, in the order of the tables.
const PARTS: [fn(&Options) -> Part; 4] =
    [rows::measure, rules::measure, connections::measure, batches::measure];

/// Measures, writes the data, prints the tables and draws the pictures.
pub fn run(options: &Options) {
    let growth = if options.redraw {
        options.read_data("growth.json")
    } else {
        let growth = Growth::of(options, PARTS.iter().map(|measure| measure(options)).collect());
        options.write("growth.json", &growth);
        growth
    };
    growth.print();
    growth.draw(&options.output);
}
