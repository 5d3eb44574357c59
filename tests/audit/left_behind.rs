//! A spool whose records are all in the database, found by the next process.

use std::sync::Arc;

use regate::{
    audit::{
        Promise, Spool, SpoolOptions,
        shipping::{Shipper, ShippingStatus, SpoolSource},
    },
    store::{self, ConnectOptions, decisions::DecisionStore},
};
use uuid::Uuid;

use super::{Standing, at, compact, eager, record};

#[tokio::test]
async fn what_is_shipped_takes_no_room_in_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let options = SpoolOptions {
        folder: folder.path().join("spool"),
        promise: Promise::Spooled,
        max_bytes: 1024 * 1024,
        segment_bytes: 64 * 1024,
    };
    let store = store::connect("sqlite::memory:", ConnectOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    let store: Arc<dyn DecisionStore> = store;
    for process in 0..2 {
        let (spool, reader) = Spool::open(&options, Uuid::from_u128(process)).unwrap();
        let spool = Arc::new(spool);
        if process == 0 {
            for number in 1..=20 {
                spool.append(&compact(&record(number))).await.unwrap();
            }
        }
        let source = SpoolSource::new(Arc::clone(&spool), reader);
        let status = Arc::new(ShippingStatus::default());
        let clock = Arc::new(Standing(at(0)));
        let mut shipper = Shipper::new(source, Arc::clone(&store), clock, eager(), Arc::clone(&status));
        assert!(shipper.drain().await);
        assert_eq!(status.numbers().shipped, if process == 0 { 20 } else { 0 });
        // Its own segment, and nothing of the process before.
        assert_eq!(spool.status().segments, 1, "{:?}", spool.status());
        assert_eq!(spool.status().records, 0);
    }
}
