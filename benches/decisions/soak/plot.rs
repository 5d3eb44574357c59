//! Draws the soak: latencies and memory over time, with the faults, as one SVG.

use std::path::Path;

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

use super::sampler::{QUANTILES, Sample};

const SIZE: (u32, u32) = (1_100, 760);
/// Told apart by those who do not see all colours (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(0, 158, 115), RGBColor(230, 159, 0), RGBColor(213, 94, 0)];
const FAULT: RGBColor = RGBColor(235, 220, 230);
const GREY: RGBColor = RGBColor(90, 90, 90);

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A time that something was away: from, until (seconds), and what it was.
pub type Mark = (f64, f64, String);

/// Writes the file.
pub fn draw(file: &Path, samples: &[Sample], marks: &[Mark]) {
    try_draw(file, samples, marks).expect("a plot");
}

fn try_draw(file: &Path, samples: &[Sample], marks: &[Mark]) -> Drawn {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(480);
    latencies(&above, samples, marks)?;
    memory(&below, samples, marks)?;
    area.present()?;
    Ok(())
}

/// Powers of ten of a millisecond.
fn latencies(area: &DrawingArea<SVGBackend<'_>, Shift>, samples: &[Sample], marks: &[Mark]) -> Drawn {
    let end = samples.last().map_or(1.0, |sample| sample.second);
    let values = samples.iter().filter(|sample| !sample.latencies.is_empty());
    let logs: Vec<f64> = values
        .flat_map(|sample| QUANTILES.map(|(_, quantile)| sample.latency(quantile).max(0.01).log10()))
        .collect();
    let least = logs.iter().copied().fold(0.0, f64::min).floor();
    let most = logs.iter().copied().fold(0.0, f64::max).ceil().max(least + 1.0);
    let mut chart = ChartBuilder::on(area)
        .caption("Latency of decisions, by second (shaded: Postgres or Redis away)", ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end, least..most)?;
    shade(&mut chart, marks, least, most)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|second| minutes(*second))
        .y_labels((most - least) as usize + 1)
        .y_label_formatter(&|log| format!("{} ms", 10_f64.powf(*log)))
        .draw()?;
    for ((name, quantile), colour) in QUANTILES.into_iter().zip(COLOURS) {
        let points = samples
            .iter()
            .filter(|sample| !sample.latencies.is_empty())
            .map(|sample| (sample.second, sample.latency(quantile).max(0.01).log10()));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(1)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(GREY.mix(0.4))
        .draw()?;
    for (from, _, what) in marks {
        let place = (*from, most - (most - least) * 0.02);
        let style = ("sans-serif", 10).into_font().transform(FontTransform::Rotate90).color(&GREY);
        chart.draw_series([Text::new(what.clone(), place, style)])?;
    }
    Ok(())
}

fn memory(area: &DrawingArea<SVGBackend<'_>, Shift>, samples: &[Sample], marks: &[Mark]) -> Drawn {
    const MEBIBYTE: f64 = 1_048_576.0;
    let end = samples.last().map_or(1.0, |sample| sample.second);
    let most = samples.iter().map(|sample| sample.memory as f64 / MEBIBYTE).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption("Resident memory of regate, MiB", ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end, 0.0..most)?;
    shade(&mut chart, marks, 0.0, most)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|second| minutes(*second))
        .y_label_formatter(&|mebibytes| format!("{mebibytes:.0}"))
        .draw()?;
    let points = samples.iter().map(|sample| (sample.second, sample.memory as f64 / MEBIBYTE));
    chart.draw_series(LineSeries::new(points, COLOURS[0].stroke_width(2)))?;
    Ok(())
}

fn shade(chart: &mut Chart<'_, '_>, marks: &[Mark], least: f64, most: f64) -> Drawn {
    chart.draw_series(
        marks.iter().map(|(from, until, _)| Rectangle::new([(*from, least), (*until, most)], FAULT.filled())),
    )?;
    Ok(())
}

fn minutes(seconds: f64) -> String {
    format!("{}:{:02}", seconds as u64 / 60, seconds as u64 % 60)
}
