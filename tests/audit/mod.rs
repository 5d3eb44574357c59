//! The decision log from disk to the database and beyond: shipped once, verified, exported, pruned.

mod command_line;
mod faces;
mod left_behind;
mod retention;
mod shipping;
mod source;
mod verify;

use std::{borrow::Cow, sync::Arc, time::Duration};

use regate::{
    audit::{
        DecisionRecord, RecordedQuestion, RecordedRequest, RecordedSubject,
        shipping::{Shipper, ShippingSettings, ShippingStatus},
    },
    store::{Store, decisions::DecisionStore},
    types::{Clock, Timestamp},
};
use uuid::Uuid;

use self::source::{Memory, MemorySource};

/// 2026-11-22T09:00:00Z
const NOON: i64 = 1_795_338_000_000;

/// A clock that stands.
struct Standing(Timestamp);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(NOON + seconds * 1_000)
}

/// The id of a decision, by its number.
fn id(number: u32) -> Uuid {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + u128::from(number))
}

/// A decision, made as many seconds after nine as its number says.
fn record(number: u32) -> DecisionRecord<'static> {
    let allow = !number.is_multiple_of(3);
    let request = RecordedRequest {
        method: "GET".into(),
        path: format!("/api/v1/projects/p{}/builds", number % 5).into(),
        source_ip: Some("10.0.0.1".into()),
        ..RecordedRequest::default()
    };
    DecisionRecord {
        id: id(number),
        time_millis: at(i64::from(number)).unix_millis(),
        tenant: "default".into(),
        face: "/v1/decide".into(),
        gateway: None,
        asked: RecordedQuestion::Request(request),
        project: Some(format!("p{}", number % 5).into()),
        allow,
        status: if allow { 200 } else { 403 },
        reasons: vec![if allow { "global_token.read" } else { "global_token.not_a_collaborator" }.into()],
        message: Cow::Borrowed(""),
        subject: Some(RecordedSubject {
            kind: "global".into(),
            token_id: Some(format!("t{}", number % 7).into()),
            user_id: Some("u1".into()),
            tenant: Some("default".into()),
        }),
        limits: Vec::new(),
        credential: None,
        policy_revision: "ab".into(),
        data_revision: 1,
        latency_micros: 10,
        trace_id: None,
        masked: Vec::new(),
        left_out: Vec::new(),
    }
}

fn compact(record: &DecisionRecord<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.write_compact(&mut bytes).unwrap();
    bytes
}

/// Ships without rest, so that a test is no slower than it must be.
fn eager() -> ShippingSettings {
    ShippingSettings {
        gather: Duration::ZERO,
        rest: 0,
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
        ..ShippingSettings::default()
    }
}

/// One who ships what is in `memory`, from its beginning, to the store; and the numbers.
fn shipper(
    memory: &Memory,
    store: Arc<dyn Store>,
    settings: ShippingSettings,
) -> (Shipper<MemorySource>, Arc<ShippingStatus>) {
    let status = Arc::new(ShippingStatus::default());
    let store: Arc<dyn DecisionStore> = store;
    let clock = Arc::new(Standing(at(0)));
    (Shipper::new(memory.reader(), store, clock, settings, Arc::clone(&status)), status)
}

/// Ships these records, and nothing else ever.
async fn ship(store: &Arc<dyn Store>, records: impl IntoIterator<Item = DecisionRecord<'static>>) {
    let memory = Memory::default();
    memory.extend(records.into_iter().map(|record| compact(&record)));
    let (mut shipper, _) = shipper(&memory, Arc::clone(store), eager());
    assert!(shipper.drain().await);
}
