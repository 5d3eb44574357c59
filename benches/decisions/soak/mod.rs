//! The soak: `cargo bench --bench decisions -- soak`. regate as it runs in production (Postgres, Redis, a folder of
//! policies, the decision log), under a steady load, while everything around it changes, breaks and lies.
//!
//! Every answer is held against a model of the data and the policy (`model`, `question`). What must hold, and what is
//! done, is told in `docs/soak.md`. All that is chosen is chosen by a seed.

mod changes;
mod client;
mod faults;
mod hostile;
mod load;
mod model;
mod outages;
mod plot;
mod policies;
mod program;
mod question;
mod records;
mod report;
mod sampler;
mod standstill;
mod tally;
mod world;
mod writers;

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;

use self::{
    client::Client, model::Model, outages::Outages, policies::Folders, program::Serving,
    standstill::Standstill, tally::Tally,
};
use crate::harness::{postgres::Postgres, redis::Redis};

/// Runs regate under load, changes and faults, and holds every answer against a model.
#[derive(Parser)]
#[command(name = "soak", no_binary_name = true)]
struct Options {
    /// How long.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Questions a second, beside those of agents, changes and checks.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// What everything that is chosen is chosen by.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the table, the data and the plot go.
    #[arg(long, default_value = "target/soak")]
    output: PathBuf,
    /// The program, if not the one that was built with this benchmark.
    #[arg(long, env = "REGATE_SOAK_PROGRAM", default_value = env!("CARGO_BIN_EXE_regate"))]
    program: PathBuf,
}

/// What all that takes part has in common.
pub struct Soak {
    seed: u64,
    rate: u32,
    program: PathBuf,
    /// Where regate runs.
    folder: PathBuf,
    address: String,
    metrics: String,
    began: Instant,
    ends: Instant,
    model: Model,
    outages: Outages,
    standstill: Standstill,
    tally: Tally,
}

/// What is under way when the soak is over may take so long to its end.
const PARTING: Duration = Duration::from_secs(30);

impl Soak {
    /// Whether there is to be more.
    fn goes_on(&self) -> bool {
        self.goes_on_for(PARTING)
    }

    /// Whether there is so much time left, with what is kept for parting.
    fn goes_on_for(&self, time: Duration) -> bool {
        Instant::now() + time < self.ends + PARTING
    }

    /// A value of `/metrics`.
    async fn metric(&self, name: &str) -> Option<f64> {
        let (_, body) = Client::new(&self.metrics).exchange("GET", "/metrics", "", "").await.ok()?;
        let text = String::from_utf8_lossy(&body).into_owned();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }
}

/// Runs it, and prints the table. Exits with 1 if anything did not hold.
pub fn run(arguments: &[&str]) {
    let options = Options::parse_from(arguments);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if !runtime.block_on(soak(options)) {
        std::process::exit(1);
    }
}

async fn soak(options: Options) -> bool {
    fs::create_dir_all(&options.output).expect("a folder for what comes out");
    let folder = tempfile::tempdir().expect("a folder");
    let program = fs::canonicalize(&options.program).expect("regate itself");
    eprintln!("starting Postgres, Redis and regate in {}", folder.path().display());
    let postgres = Postgres::start_with(&["shared_buffers=256MB", "max_wal_size=2GB"]);
    let redis = Redis::start();
    let url = postgres.new_database("soak").await;
    let Folders { policies, tests } = Folders::copied_to(folder.path());
    let configuration = world::configuration(&url, &redis.url(), &policies, &tests);
    fs::write(folder.path().join("regate.toml"), configuration).expect("the configuration");
    fs::write(folder.path().join("rows.json"), world::document().to_string()).expect("the rows");
    let imported = program::run(&program, folder.path(), &["import", "rows.json"]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let serving = Serving::start(&program, folder.path(), &options.output.join("regate.log"));

    let began = Instant::now();
    let time = Duration::from_secs_f64(options.minutes * 60.0);
    let soak = Arc::new(Soak {
        seed: options.seed,
        rate: options.rate,
        program,
        folder: folder.path().to_owned(),
        address: serving.address.clone(),
        metrics: serving.metrics_address(),
        began,
        ends: began + time,
        model: Model::default(),
        outages: Outages::default(),
        standstill: Standstill::default(),
        tally: Tally::default(),
    });
    let samples = sampler::begin(&soak, serving.process);
    standstill::begin(&soak, &url);
    load::begin(&soak);
    writers::begin(&soak, &url);
    policies::begin(&soak, &policies);
    hostile::begin(&soak);
    // Eight faults in a short soak, three times as many in half an hour.
    let between = time.div_f64(10.0).clamp(Duration::from_secs(10), Duration::from_secs(60));
    let faults = faults::begin(&soak, postgres, redis, between);
    let servers = tokio::task::spawn_blocking(|| faults.join()).await.expect("a thread").expect("the faults");
    tokio::time::sleep_until((began + time + PARTING).into()).await;

    let records = records::compare(&soak, &url).await;
    let samples = samples.lock().unwrap();
    let code = serving.stop();
    if code != Some(0) {
        soak.tally.fail(format!("regate ended with {code:?}"));
    }
    drop(servers);
    report::finish(&soak, &samples, &records, &options.output)
}
