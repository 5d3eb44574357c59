//! More rules in the bundle: denies that every question is held against, the same as data for one rule, and rules that
//! the question does not reach.

use std::{fmt::Write, path::PathBuf, process::Command, sync::Arc, time::Instant};

use regate::{
    decision::{Basis, Bundle, CompileOptions},
    policy::{self, Live, PolicySource, Source},
    types::{Clock, SystemClock},
};
use serde_json::{Value, json};

use super::{
    curves::{Curve, Part, Picture},
    deciding::{Deciding, texts},
};
use crate::{live_server::Memory, options::Options, world};

/// Beside those that are shipped.
const SIZES: [usize; 6] = [0, 10, 30, 100, 300, 1_000];
/// The data that is decided over.
const ROWS: usize = 1_000;

/// What further rules there are.
#[derive(Clone, Copy)]
enum Shape {
    /// A deny for each of so many projects: every question is held against each.
    Asked,
    /// One deny, and as many projects as data.
    Data,
    /// As many rules, behind a condition that does not hold for this caller.
    NotReached,
}

impl Shape {
    const ALL: [Self; 3] = [Self::Asked, Self::Data, Self::NotReached];

    fn name(self) -> &'static str {
        match self {
            Self::Asked => "denies that are asked",
            Self::Data => "one deny, the rest data",
            Self::NotReached => "rules not reached",
        }
    }

    /// The word on the command line.
    fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Data => "data",
            Self::NotReached => "not-reached",
        }
    }

    /// The organisation's own policy file, and its own data.
    fn files(self, count: usize) -> (String, Value) {
        let mut rules = "package regate.overrides\n".to_owned();
        let names = || (0..count).map(|number| format!("closed-{number:04}"));
        // Writing to a String cannot fail.
        match self {
            Self::Asked => names().for_each(|name| {
                let _ = write!(
                    rules,
                    "\ndeny contains \"acme.{name}\" if {{\n\tinput.request.path[3] == \"{name}\"\n\
                     \tnot data.regate.request.read\n}}\n"
                );
            }),
            Self::Data => rules.push_str(
                "\ndeny contains \"acme.closed\" if {\n\tdata.acme.closed[input.request.path[3]]\n\
                 \tnot data.regate.request.read\n}\n",
            ),
            Self::NotReached => {
                rules.push_str(
                    "\ndeny contains \"acme.closed\" if {\n\tinput.token.kind == \"admin\"\n\tclosed\n}\n",
                );
                names().for_each(|name| {
                    let rule = name.replace('-', "_");
                    let _ = write!(
                        rules,
                        "\nclosed if {rule}\n\n{rule} if {{\n\tinput.request.path[3] == \"{name}\"\n\
                         \tnot data.regate.request.read\n}}\n"
                    );
                });
                rules.push_str("\nclosed if input.request.path[3] == \"closed\"\n");
            }
        }
        let closed = match self {
            Self::Data => names().map(|name| (name, json!(true))).collect(),
            Self::Asked | Self::NotReached => serde_json::Map::new(),
        };
        (rules, json!({ "closed": closed }))
    }

    /// Writes the files, reads them with the shipped ones, and compiles them. Milliseconds of the latter two.
    fn compile(self, count: usize) -> (Arc<Bundle>, f64) {
        let folder = tempfile::tempdir().expect("a folder");
        let (rules, data) = self.files(count);
        std::fs::create_dir(folder.path().join("acme")).expect("a folder");
        std::fs::write(folder.path().join("acme.rego"), rules).expect("to write rules");
        std::fs::write(folder.path().join("acme/data.json"), data.to_string()).expect("to write data");
        let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies");
        let source = PolicySource::Paths(vec![shipped, folder.path().to_owned()]);
        let begun = Instant::now();
        let files = policy::load(&source).expect("the files");
        let compiled =
            Bundle::compile(&files.sources, files.data, files.revision, &CompileOptions::default());
        let bundle = Arc::new(compiled.unwrap_or_else(|error| panic!("{count} {}: {error}", self.name())));
        (bundle, begun.elapsed().as_secs_f64() * 1e3)
    }
}

/// In a process of its own: compiles one bundle, and prints what it took.
pub fn compile_alone(word: &str, count: usize) {
    let shape = Shape::ALL.into_iter().find(|shape| shape.word() == word).expect("a shape");
    let before = Memory::of(std::process::id()).present;
    let (bundle, milliseconds) = shape.compile(count);
    let after = Memory::of(std::process::id()).present;
    println!("{}", json!({ "ms": milliseconds, "bytes": after.saturating_sub(before) }));
    drop(bundle);
}

/// Figures of each size and turn, by curve.
struct Gathered(Vec<(String, &'static str, Vec<Vec<f64>>)>);

impl Gathered {
    fn push(&mut self, what: String, unit: &'static str, place: usize, figure: f64) {
        let index = self.0.iter().position(|(name, _, _)| *name == what).unwrap_or_else(|| {
            self.0.push((what, unit, vec![Vec::new(); SIZES.len()]));
            self.0.len() - 1
        });
        self.0[index].2[place].push(figure);
    }
}

/// Evaluates in turns over all bundles, then compiles each in a process of its own.
pub fn measure(options: &Options) -> Part {
    let mut gathered = Gathered(Vec::new());
    evaluate(&mut gathered, options);
    compile(&mut gathered, options);
    let curve = |(what, unit, turns): (String, &str, Vec<Vec<f64>>)| {
        Curve::new(&what, unit, SIZES.into_iter().zip(turns))
    };
    let mut curves: Vec<Curve> = gathered.0.into_iter().map(curve).collect();
    // What is compared stands side by side.
    let kinds = ["evaluation", "compiling", "memory", "in place"];
    curves.sort_by_key(|curve| kinds.iter().position(|kind| curve.what.starts_with(kind)));
    let picture = |file, title, up, logarithmic, before: &str| {
        let names: Vec<&str> =
            curves.iter().map(|c| c.what.as_str()).filter(|name| name.starts_with(before)).collect();
        Picture::of(file, title, up, logarithmic, &names)
    };
    let pictures = vec![
        picture("rules-evaluation.svg", "An evaluation, as rules grow", "µs", true, "evaluation"),
        picture(
            "rules-compiling.svg",
            "Reading and compiling the bundle, as rules grow",
            "ms",
            true,
            "compiling",
        ),
        picture("rules-memory.svg", "Memory of a bundle, as rules grow", "MiB", true, "memory"),
    ];
    Part {
        name: "Rules".to_owned(),
        across: "further rules".to_owned(),
        how: format!(
            "One question over {ROWS} users, in this process, one thread. Compiling: from the files to a bundle of one worker, \
             in a process of its own; memory: what that took of it. In place: a compiled bundle made the one that decides."
        ),
        curves,
        pictures,
    }
}

fn evaluate(gathered: &mut Gathered, options: &Options) {
    let (rounds, calls) = if options.quick { (3, 20) } else { (21, 500) };
    let question = texts(std::iter::once(ROWS / 2));
    let shipped = world::bundle(1);
    let live = Live::new(Arc::clone(&shipped), world::snapshot(ROWS));
    live.prepare();
    live.confirm(Source::Tables, SystemClock.reading());
    let bundles: Vec<(Shape, usize, Basis)> = Shape::ALL
        .into_iter()
        .flat_map(|shape| (0..SIZES.len()).map(move |place| (shape, place)))
        .map(|(shape, place)| {
            eprintln!("growth: {} {} …", SIZES[place], shape.name());
            (shape, place, Basis::new(shape.compile(SIZES[place]).0, world::snapshot(ROWS)))
        })
        .collect();
    let mut deciding: Vec<Deciding<'_>> =
        bundles.iter().map(|(_, _, basis)| Deciding::new(basis, &question)).collect();
    // The first round warms up, and is not counted.
    for round in 0..=rounds {
        for ((shape, place, basis), deciding) in bundles.iter().zip(&mut deciding) {
            let evaluation = deciding.evaluations(calls);
            let begun = Instant::now();
            live.activate(basis.bundle());
            let activation = begun.elapsed().as_secs_f64() * 1e6;
            live.activate(&shipped);
            if round > 0 {
                gathered.push(format!("evaluation, {}", shape.name()), "µs", *place, evaluation);
                if matches!(shape, Shape::Asked) {
                    gathered.push("in place".to_owned(), "µs", *place, activation);
                }
            }
        }
    }
}

fn compile(gathered: &mut Gathered, options: &Options) {
    let program = std::env::current_exe().expect("this program");
    for turn in 0..if options.quick { 1 } else { 7 } {
        eprintln!("growth: compiling, turn {turn} …");
        for shape in Shape::ALL {
            for (place, size) in SIZES.into_iter().enumerate() {
                let done = Command::new(&program)
                    .args(["growth-bundle", shape.word(), &size.to_string()])
                    .output()
                    .expect("a process");
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                let told: Value = serde_json::from_slice(&done.stdout).expect("its figures");
                let figure = |name: &str| told[name].as_f64().expect("a figure");
                let mebibytes = figure("bytes") / f64::from(1 << 20);
                gathered.push(format!("compiling, {}", shape.name()), "ms", place, figure("ms"));
                gathered.push(format!("memory, {}", shape.name()), "MiB", place, mebibytes);
            }
        }
    }
}
