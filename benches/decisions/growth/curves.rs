//! What was measured, as it is written to a file; tables and pictures of it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    bounds::table,
    figures::middle,
    options::Options,
    plot::{Axis, Line, Plot, Scale},
};

/// Everything that was measured in one run.
#[derive(Serialize, Deserialize)]
pub struct Growth {
    /// Short and small: no figure to go by.
    quick: bool,
    /// Compiled as it is for use.
    optimised: bool,
    /// Processors that client and server share.
    processors: usize,
    parts: Vec<Part>,
}

/// What grows, and what it costs.
#[derive(Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// What is counted across.
    pub across: String,
    /// How it was measured, in a sentence or two.
    pub how: String,
    pub curves: Vec<Curve>,
    pub pictures: Vec<Picture>,
}

/// One thing that was measured, at each size.
#[derive(Serialize, Deserialize)]
pub struct Curve {
    pub what: String,
    pub unit: String,
    pub points: Vec<Point>,
}

/// One place of a curve: the median of some turns, the least and the most of them.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Point {
    pub at: usize,
    pub median: f64,
    pub least: f64,
    pub most: f64,
    /// Else it was reckoned from the others.
    pub measured: bool,
}

/// Which curves are drawn together.
#[derive(Serialize, Deserialize)]
pub struct Picture {
    pub file: String,
    pub title: String,
    pub up: String,
    /// Whether the axis up is logarithmic.
    pub logarithmic: bool,
    /// What the curves are called.
    pub curves: Vec<String>,
}

impl Growth {
    pub fn of(options: &Options, parts: Vec<Part>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { quick: options.quick, optimised: !cfg!(debug_assertions), processors, parts }
    }

    /// Prints a table for each part.
    pub fn print(&self) {
        let Self { quick, optimised, processors, .. } = self;
        println!(
            "Growth, on {processors} processors that client and server share. Median of the turns (least to most)."
        );
        if *quick || !optimised {
            println!("\n**These are no figures: it was a short run, or it was not compiled for use.**");
        }
        for part in &self.parts {
            println!("\n### {}\n\n{}\n", part.name, part.how);
            part.print();
        }
    }

    /// Draws the pictures into this folder.
    pub fn draw(&self, folder: &Path) {
        for part in &self.parts {
            for picture in &part.pictures {
                part.draw(picture, &folder.join(&picture.file));
            }
        }
    }
}

impl Part {
    fn print(&self) {
        let units = |curve: &Curve| {
            let comma = if curve.unit.is_empty() { "" } else { ", " };
            format!("{}{comma}{}", curve.what, curve.unit)
        };
        let headings = std::iter::once(self.across.clone()).chain(self.curves.iter().map(units));
        let mut printed = table([]);
        printed.set_header(headings);
        let mut sizes: Vec<(usize, bool)> =
            self.curves.iter().flat_map(|c| c.points.iter().map(|p| (p.at, p.measured))).collect();
        sizes.sort_unstable();
        sizes.dedup_by_key(|size| size.0);
        for (size, measured) in sizes {
            let point = |curve: &Curve| curve.points.iter().find(|p| p.at == size).map(Point::cell);
            let note = if measured { "" } else { " (reckoned)" };
            let first = format!("{}{note}", thousands(size));
            let cells = self.curves.iter().map(|curve| point(curve).unwrap_or_default());
            printed.add_row(std::iter::once(first).chain(cells));
        }
        println!("{printed}");
    }

    fn draw(&self, picture: &Picture, file: &Path) {
        let curves = self.curves.iter().filter(|curve| picture.curves.contains(&curve.what));
        let line = |curve: &Curve| {
            let measured: Vec<&Point> = curve.points.iter().filter(|point| point.measured).collect();
            Line {
                name: curve.what.clone(),
                points: measured.iter().map(|point| (point.at as f64, point.median)).collect(),
                spread: measured.iter().map(|point| (point.least, point.most)).collect(),
                dashed: false,
            }
        };
        let scale = if picture.logarithmic { Scale::Logarithmic } else { Scale::Linear };
        Plot {
            title: &picture.title,
            across: Axis { name: &self.across, scale: Scale::Logarithmic },
            up: Axis { name: &picture.up, scale },
            lines: curves.map(line).collect(),
            events: Vec::new(),
        }
        .draw(file);
    }
}

impl Curve {
    /// A curve of what each turn gave at each size.
    pub fn new(what: &str, unit: &str, turns: impl IntoIterator<Item = (usize, Vec<f64>)>) -> Self {
        let points = turns.into_iter().map(|(at, values)| Point::of(at, values)).collect();
        Self { what: what.to_owned(), unit: unit.to_owned(), points }
    }
}

impl Picture {
    /// A picture of these curves.
    pub fn of(file: &str, title: &str, up: &str, logarithmic: bool, curves: &[&str]) -> Self {
        let curves = curves.iter().map(|&curve| curve.to_owned()).collect();
        Self { file: file.to_owned(), title: title.to_owned(), up: up.to_owned(), logarithmic, curves }
    }
}

impl Point {
    fn of(at: usize, values: Vec<f64>) -> Self {
        let (median, least, most) = middle(values);
        Self { at, median, least, most, measured: true }
    }

    /// Three digits that count are enough.
    fn cell(&self) -> String {
        let digits = match self.median.abs() {
            value if value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            value if value >= 0.1 => 2,
            _ => 3,
        };
        let Self { median, least, most, .. } = self;
        if !self.measured {
            return format!("{median:.digits$}");
        }
        if least == most {
            return format!("{median:.digits$}");
        }
        format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

fn thousands(mut number: usize) -> String {
    let mut text = String::new();
    while number >= 1_000 {
        text = format!(",{:03}{text}", number % 1_000);
        number /= 1_000;
    }
    format!("{number}{text}")
}
