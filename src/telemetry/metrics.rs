//! Numbers for Prometheus, in the OpenMetrics text format.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// The labels of one series: names and values.
pub type Labels = Vec<(&'static str, String)>;
type Read<T> = Box<dyn Fn() -> T + Send + Sync>;

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramReading {
    /// All of it together, in the unit that the name says.
    pub sum: f64,
    /// How often it took no longer than a bound and longer than the one before, by bound, in rising order. The last bound
    /// is `f64::INFINITY`.
    pub buckets: Vec<(f64, u64)>,
}

/// The metrics of the process. Each is read when somebody looks.
#[derive(Debug)]
pub struct Metrics {
    families: Vec<Family>,
}

struct Family {
    name: &'static str,
    help: &'static str,
    source: Source,
}

/// Where the values of a family come from.
enum Source {
    /// So many series, which are known from the start.
    Fixed(MetricType, Vec<(Labels, Read<f64>)>),
    /// What there is when somebody looks.
    Counters(Read<Vec<(Labels, u64)>>),
    Histograms(Read<Vec<(Labels, HistogramReading)>>),
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Default for Metrics {
    /// None yet.
    fn default() -> Self {
        Self { families: Vec::new() }
    }
}

impl Metrics {
    /// The content type of [`render`](Self::render).
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// A number that goes up and down. It is shown as `regate_NAME`.
    pub fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.labelled_gauge(name, help, [], read);
    }

    /// A number that only goes up. It is shown as `regate_NAME_total`.
    pub fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.labelled_counter(name, help, [], read);
    }

    /// One of several gauges of the same name.
    pub fn labelled_gauge<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [(&'static str, String); N],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.add(name, help, MetricType::Gauge, labels.into(), Box::new(read));
    }

    /// One of several counters of the same name.
    pub fn labelled_counter<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [(&'static str, String); N],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.add(name, help, MetricType::Counter, labels.into(), Box::new(read));
    }

    /// Counters of one name, those that there are when somebody looks. While there is none the name is shown alone.
    pub fn counters(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Vec<(Labels, u64)> + Send + Sync + 'static,
    ) {
        self.families.push(Family { name, help, source: Source::Counters(Box::new(read)) });
    }

    /// Histograms of one name, those that there are when somebody looks.
    pub fn histograms(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Vec<(Labels, HistogramReading)> + Send + Sync + 'static,
    ) {
        self.families.push(Family { name, help, source: Source::Histograms(Box::new(read)) });
    }

    fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: MetricType,
        labels: Labels,
        read: Read<f64>,
    ) {
        let there = self.families.iter_mut().find(|family| family.name == name);
        match there.map(|family| &mut family.source) {
            Some(Source::Fixed(_, series)) => series.push((labels, read)),
            _ => self.families.push(Family { name, help, source: Source::Fixed(kind, vec![(labels, read)]) }),
        }
    }

    /// All of them, with the values of this moment.
    pub fn render(&self) -> String {
        let mut registry = Registry::with_prefix("regate");
        for Family { name, help, source } in &self.families {
            registry.register_collector(Box::new(Values { name, help, series: source.read() }));
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut text, &registry);
        text
    }
}

impl Source {
    fn read(&self) -> Series {
        match self {
            Self::Fixed(MetricType::Counter, series) => {
                let values = series.iter();
                Series::Counters(values.map(|(labels, read)| (labels.clone(), read())).collect())
            }
            Self::Fixed(_, series) => {
                let values = series.iter();
                Series::Gauges(values.map(|(labels, read)| (labels.clone(), read())).collect())
            }
            Self::Counters(read) => {
                let values = read().into_iter();
                Series::Counters(values.map(|(labels, value)| (labels, count(value))).collect())
            }
            Self::Histograms(read) => Series::Histograms(read()),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

/// The values of one family.
#[derive(Debug)]
struct Values {
    name: &'static str,
    help: &'static str,
    series: Series,
}

#[derive(Debug)]
enum Series {
    Counters(Vec<(Labels, f64)>),
    Gauges(Vec<(Labels, f64)>),
    Histograms(Vec<(Labels, HistogramReading)>),
}

impl Collector for Values {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match &self.series {
            Series::Counters(_) => MetricType::Counter,
            Series::Gauges(_) => MetricType::Gauge,
            Series::Histograms(_) => MetricType::Histogram,
        };
        let encoder = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        match &self.series {
            Series::Counters(series) => {
                each(encoder, series, |value, encoder| ConstCounter::new(*value).encode(encoder))
            }
            Series::Gauges(series) => {
                each(encoder, series, |value, encoder| ConstGauge::new(*value).encode(encoder))
            }
            Series::Histograms(series) => each(encoder, series, |value, mut encoder| {
                let all = value.buckets.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<NoLabelSet>(value.sum, all, &value.buckets, None)
            }),
        }
    }
}

fn each<T>(
    mut encoder: MetricEncoder<'_>,
    series: &[(Labels, T)],
    encode: impl Fn(&T, MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    for (labels, value) in series {
        // Such a family has one series, so the encoder can be given away.
        if labels.is_empty() {
            return encode(value, encoder);
        }
        encode(value, encoder.encode_family(labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{HistogramReading, Metrics};

    #[test]
    fn what_prometheus_reads() {
        let mut metrics = Metrics::default();
        metrics.gauge("age_seconds", "How old", || 1.5);
        metrics.counter("failures", "How often", || 3.0);
        metrics.labelled_gauge("rows", "How many", [("path", "a.b".into())], || 1.0);
        metrics.labelled_gauge("rows", "How many", [("path", "c".into())], || 2.0);
        metrics.counters("none", "Nothing yet", Vec::new);
        metrics.counters("asked", "How often", || {
            vec![(vec![("face", "/a".to_owned()), ("reason", "say \"so\"\n".to_owned())], 7)]
        });
        metrics.histograms("time_seconds", "How long", || {
            let buckets = vec![(0.5, 1), (1.0, 2), (f64::INFINITY, 4)];
            vec![(vec![("face", "/a".to_owned())], HistogramReading { sum: 9.5, buckets })]
        });
        insta::assert_snapshot!(metrics.render());
    }
}
