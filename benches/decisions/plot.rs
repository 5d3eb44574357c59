//! Draws lines as an SVG file: over sizes (with logarithmic axes) or over time (with marks of what happened when).
//!
//! It knows nothing of what was measured.

use std::{ops::Range, path::Path};

use plotters::{
    coord::{
        Shift,
        ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    },
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// How an axis is divided.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From zero, or from below it.
    Linear,
    /// By powers of ten: nothing at or below zero is drawn.
    Logarithmic,
    /// From zero; the values are seconds, the labels are minutes and seconds.
    Time,
}

/// One axis.
#[derive(Clone, Copy)]
pub struct Axis<'a> {
    /// What it counts, with its unit.
    pub name: &'a str,
    pub scale: Scale,
}

/// One line, in the order of its points.
#[derive(Default)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// The least and the most at each point, drawn as an upright stroke. May be shorter than the points.
    pub spread: Vec<(f64, f64)>,
    /// What was not measured.
    pub dashed: bool,
}

impl Line {
    /// A line without spread.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, ..Self::default() }
    }
}

/// One picture.
pub struct Plot<'a> {
    pub title: &'a str,
    pub across: Axis<'a>,
    pub up: Axis<'a>,
    pub lines: Vec<Line>,
    /// What happened, and at which place of the axis across.
    pub events: Vec<(f64, String)>,
}

const SIZE: (u32, u32) = (800, 480);
/// What the title and the names of the lines take.
const HEAD: i32 = 56;
/// Told apart by those who do not see all colours (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
/// Labels of one axis, about.
const LABELS: f64 = 8.0;

impl Plot<'_> {
    /// Writes the file, and makes the folder it lies in.
    pub fn draw(&self, file: &Path) {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).expect("a folder for the plot");
        }
        self.draw_into(&SVGBackend::new(file, SIZE).into_drawing_area()).expect("a plot");
    }

    fn draw_into<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        area.fill(&WHITE)?;
        let (head, body) = area.split_vertically(HEAD);
        self.draw_head(&head)?;
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let upright = self.lines.iter().flat_map(|line| line.spread.iter()).flat_map(|&(l, m)| [l, m]);
        let events = self.events.iter().map(|event| event.0);
        let width = Extent::of(self.across.scale, points().map(|point| point.0).chain(events));
        let height = Extent::of(self.up.scale, points().map(|point| point.1).chain(upright));
        let (lowest, highest) = (height.range().start, height.range().end);
        let mut chart = ChartBuilder::on(&body)
            .margin(12)
            .margin_right(44)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(width, height)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .x_desc(self.across.name)
            .y_desc(self.up.name)
            .draw()?;
        let grey = RGBColor(120, 120, 120);
        let words = ("sans-serif", 11)
            .into_font()
            .transform(FontTransform::Rotate90)
            .color(&grey)
            .pos(Pos::new(HPos::Left, VPos::Bottom));
        for (at, what) in &self.events {
            chart.draw_series([PathElement::new([(*at, lowest), (*at, highest)], grey)])?;
            chart.draw_series([Text::new(what.clone(), (*at, highest), words.clone())])?;
        }
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            self.draw_line(&mut chart, line, *colour)?;
        }
        area.present()
    }

    /// The title, and below it the names of the lines.
    fn draw_head<B: DrawingBackend>(
        &self,
        head: &DrawingArea<B, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        head.draw(&Text::new(self.title, (20, 8), ("sans-serif", 18)))?;
        let mut from = 20;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let ends = [(from, 44), (from + 20, 44)];
            if line.dashed {
                head.draw(&plotters::element::DashedPathElement::new(ends, 5, 4, colour.stroke_width(3)))?;
            } else {
                head.draw(&PathElement::new(ends, colour.stroke_width(3)))?;
            }
            head.draw(&Text::new(line.name.clone(), (from + 26, 37), ("sans-serif", 13)))?;
            // A letter is about so wide; nobody here knows the reader's fonts.
            from += 50 + 7 * line.name.chars().count() as i32;
        }
        Ok(())
    }

    fn draw_line<B: DrawingBackend>(
        &self,
        chart: &mut ChartContext<'_, B, Cartesian2d<Extent, Extent>>,
        line: &Line,
        colour: RGBColor,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let shown = |(x, y): &(f64, f64)| self.across.scale.shows(*x) && self.up.scale.shows(*y);
        let points: Vec<_> = line.points.iter().copied().filter(shown).collect();
        let style = colour.stroke_width(2);
        if line.dashed {
            chart.draw_series(DashedLineSeries::new(points.iter().copied(), 5, 4, style))?;
        } else {
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        }
        let strokes = line.points.iter().zip(&line.spread).filter(|(point, _)| shown(point));
        chart.draw_series(strokes.map(|(&(x, _), &(least, most))| {
            PathElement::new([(x, least), (x, most)], colour.stroke_width(1))
        }))?;
        // So many points are a curve; few are the places that were measured.
        if points.len() <= 40 {
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
        Ok(())
    }
}

impl Scale {
    /// Where a value lies on an axis that is drawn evenly.
    fn place(self, value: f64) -> f64 {
        if self == Self::Logarithmic { value.log10() } else { value }
    }

    /// The value at such a place.
    fn value(self, place: f64) -> f64 {
        if self == Self::Logarithmic { 10_f64.powf(place) } else { place }
    }

    /// Whether a value has a place.
    fn shows(self, value: f64) -> bool {
        value.is_finite() && (self != Self::Logarithmic || value > 0.0)
    }
}

/// One axis as it is drawn: from where to where it goes, and where its labels are. All are places.
struct Extent {
    scale: Scale,
    from: f64,
    to: f64,
    labels: Vec<f64>,
}

impl Extent {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let places = values.filter(|value| scale.shows(*value)).map(|value| scale.place(value));
        let (least, most) =
            places.fold((f64::MAX, f64::MIN), |(least, most), place| (least.min(place), most.max(place)));
        if least > most {
            return Self { scale, from: 0.0, to: 1.0, labels: vec![0.0, 1.0] };
        }
        if scale == Scale::Logarithmic {
            let (from, to) = (least.floor(), most.ceil().max(least.floor() + 1.0));
            let labels = (0..=(to - from) as usize).map(|step| from + step as f64).collect();
            return Self { scale, from, to, labels };
        }
        let least = least.min(0.0);
        let most = if most > least { most } else { least + 1.0 };
        let step = step(scale, (most - least) / LABELS);
        let from = (least / step).floor() * step;
        // Time ends where the last thing happened.
        let to = if scale == Scale::Time { most } else { (most / step).ceil() * step };
        let steps = ((to - from) / step + 1e-9).floor() as usize;
        let labels = (0..=steps).map(|number| from + number as f64 * step).collect();
        Self { scale, from, to, labels }
    }
}

impl Ranged for Extent {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (self.scale.place(*value) - self.from) / (self.to - self.from);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.labels.iter().map(|place| self.scale.value(*place)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.scale.value(self.from)..self.scale.value(self.to)
    }
}

impl ValueFormatter<f64> for Extent {
    fn format_ext(&self, value: &f64) -> String {
        match self.scale {
            Scale::Linear | Scale::Logarithmic => number(*value),
            Scale::Time => format!("{}:{:02}", *value as u64 / 60, *value as u64 % 60),
        }
    }
}

/// The next greater step that people count in.
fn step(scale: Scale, least: f64) -> f64 {
    if scale == Scale::Time {
        let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0];
        return steps.into_iter().find(|step| *step >= least).unwrap_or(3_600.0);
    }
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least).unwrap_or(10.0);
    factor * power
}

/// 1,000 and 0.25.
fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        let text = format!("{value:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}
