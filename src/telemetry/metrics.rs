//! Numbers for Prometheus, in the OpenMetrics text format.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// One label: its name and its value.
type Labels = [(&'static str, String); 1];
type Read = Box<dyn Fn() -> f64 + Send + Sync>;

/// The metrics of the process. Each is read when somebody looks.
#[derive(Debug)]
pub struct Metrics {
    families: Vec<Family>,
}

struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    series: Vec<(Option<Labels>, Read)>,
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
        self.add(name, help, MetricType::Gauge, None, Box::new(read));
    }

    /// A number that only goes up. It is shown as `regate_NAME_total`.
    pub fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.add(name, help, MetricType::Counter, None, Box::new(read));
    }

    /// One of several gauges of the same name.
    pub fn labelled_gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.add(name, help, MetricType::Gauge, Some(labels), Box::new(read));
    }

    /// One of several counters of the same name.
    pub fn labelled_counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.add(name, help, MetricType::Counter, Some(labels), Box::new(read));
    }

    fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: MetricType,
        labels: Option<Labels>,
        read: Read,
    ) {
        match self.families.iter_mut().find(|family| family.name == name) {
            Some(family) => family.series.push((labels, read)),
            None => self.families.push(Family { name, help, kind, series: vec![(labels, read)] }),
        }
    }

    /// All of them, with the values of this moment.
    pub fn render(&self) -> String {
        let mut registry = Registry::with_prefix("regate");
        for family in &self.families {
            let series = family.series.iter().map(|(labels, read)| (labels.clone(), read())).collect();
            let values = Values { name: family.name, help: family.help, kind: family.kind, series };
            registry.register_collector(Box::new(values));
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut text, &registry);
        text
    }
}

/// The values of one family.
#[derive(Debug)]
struct Values {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    series: Vec<(Option<Labels>, f64)>,
}

impl Collector for Values {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut encoder = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, value) in &self.series {
            let metric: Box<dyn EncodeMetric> = match self.kind {
                MetricType::Counter => Box::new(ConstCounter::new(*value)),
                _ => Box::new(ConstGauge::new(*value)),
            };
            match labels {
                Some(labels) => metric.encode(encoder.encode_family(labels)?)?,
                // Such a family has one series, so the encoder can be given away.
                None => return metric.encode(encoder),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn what_prometheus_reads() {
        let mut metrics = Metrics::default();
        metrics.gauge("age_seconds", "How old", || 1.5);
        metrics.counter("failures", "How often", || 3.0);
        metrics.labelled_gauge("rows", "How many", [("path", "a.b".into())], || 1.0);
        metrics.labelled_gauge("rows", "How many", [("path", "c".into())], || 2.0);
        insta::assert_snapshot!(metrics.render());
    }
}
