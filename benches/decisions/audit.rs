//! What it costs to record each decision: the same server in the three modes, in one run.
//!
//! Each server is a process of its own; those that are not asked are stopped (SIGSTOP), so that none ships its records
//! while another is measured. Records go from the spool to a SQLite file, as in a small installation.

use std::{path::Path, sync::Arc, time::Duration};

use regate::{
    api::{self, Channel, HttpBounds, Shared},
    audit::{
        Promise, RecordedParts, Recorder, Spool, SpoolOptions,
        shipping::{Shipper, ShippingSettings, ShippingStatus, SpoolSource},
    },
    auth::CredentialReader,
    policy::{Live, Source},
    store::{self, ConnectOptions, decisions::DecisionStore},
    telemetry::DecisionMetrics,
    types::{Clock, SystemClock},
};

use crate::{
    figures::middle,
    http::{self, Started},
    live_server,
    world::{self, ROWS},
};

const CONNECTIONS: usize = 64;
const TURNS: usize = 7;
const MODES: [&str; 3] = ["off", "spooled", "durable"];

/// regate over a million rows, with metrics, recording in this mode in this folder.
pub fn serve(mode: &str, folder: &Path) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let live = Arc::new(Live::new(world::bundle(workers), world::snapshot(ROWS)));
    live.confirm(Source::Tables, SystemClock.reading());
    let promise = match mode {
        "durable" => Some(Promise::Durable),
        "spooled" => Some(Promise::Spooled),
        _ => None,
    };
    let point = live_server::point(live, Duration::MAX).measuring(Arc::new(DecisionMetrics::new()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let recorder = match promise {
            Some(promise) => Some(recorder(promise, folder).await),
            None => None,
        };
        http::serve_until_told(api::router(Shared {
            point: Arc::new(point.recording(recorder)),
            bounds: Arc::new(HttpBounds::default()),
            channel: Channel::Loopback,
            faces: Arc::default(),
            credentials: CredentialReader::default(),
            feed: None,
            policies: None,
            management: None,
        }))
        .await;
    });
}

async fn recorder(promise: Promise, folder: &Path) -> Arc<Recorder> {
    let url = format!("sqlite://{}", folder.join("log.sqlite").display());
    let store = store::connect(&url, ConnectOptions::default()).await.expect("a store");
    store.migrate().await.expect("its tables");
    let options = SpoolOptions {
        folder: folder.join("spool"),
        promise,
        max_bytes: 4 * 1024 * 1024 * 1024,
        segment_bytes: 16 * 1024 * 1024,
    };
    let (spool, reader) = Spool::open(&options, uuid::Uuid::from_u128(1)).expect("a spool");
    let spool = Arc::new(spool);
    let source = SpoolSource::new(Arc::clone(&spool), reader);
    let decisions: Arc<dyn DecisionStore> = store;
    let (clock, status) = (Arc::new(SystemClock), Arc::new(ShippingStatus::default()));
    let mut shipper = Shipper::new(source, decisions, clock, ShippingSettings::default(), status);
    tokio::spawn(async move { shipper.run().await });
    Arc::new(Recorder::new(spool, RecordedParts::default()))
}

/// Asks the servers in turn, and prints what each mode gives beside `off`.
pub fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let servers: Vec<Started> = MODES
        .iter()
        .map(|mode| {
            let own = folder.path().join(mode);
            std::fs::create_dir(&own).expect("a folder");
            let server = Started::quiet(&["serve-audit", mode, &own.display().to_string()]);
            server.pause();
            server
        })
        .collect();
    let case = world::cases(ROWS).remove(0);
    let message = http::message(&case.question);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut turns: Vec<Vec<f64>> = vec![Vec::new(); MODES.len()];
    let mut slow: Vec<Vec<f64>> = vec![Vec::new(); MODES.len()];
    for turn in 0..=TURNS {
        for (place, server) in servers.iter().enumerate() {
            server.resume();
            let expected = b"\"allow\":true";
            let asked =
                runtime.block_on(http::ask_over(CONNECTIONS, &server.address, &message, expected, None));
            server.pause();
            // The first is to get warm.
            if turn > 0 {
                turns[place].push(asked.per_second);
                slow[place].push(asked.p99);
            }
        }
    }
    println!("{CONNECTIONS} connections, {ROWS} rows, {TURNS} turns of {:?}", http::TURN);
    for (place, mode) in MODES.iter().enumerate() {
        let ratios: Vec<f64> = turns[place].iter().zip(&turns[0]).map(|(own, off)| own / off).collect();
        let (ratio, least, most) = middle(ratios);
        println!(
            "{mode:8} {:8.0}/s   {ratio:.2} of off ({least:.2} to {most:.2})   p99 {:.2} ms",
            middle(turns[place].clone()).0,
            middle(slow[place].clone()).0,
        );
    }
}
