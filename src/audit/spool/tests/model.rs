//! Whatever happens in whatever order: the spool gives what was appended and not acknowledged.

use proptest::prelude::*;

use super::{killed, open, small};
use crate::audit::spool::{Position, Sought, segment::HEADER_BYTES};

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Read { records: usize, bytes: usize },
    Ship,
    Close,
    Kill,
    ForgetShipped,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_usize..500).prop_map(Step::Append),
        4 => (0_usize..5, 0_usize..2_000).prop_map(|(records, bytes)| Step::Read { records, bytes }),
        4 => Just(Step::Ship),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        1 => Just(Step::ForgetShipped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_spool_gives_what_was_appended_and_not_shipped(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = small(folder.path());
    let (mut spool, mut reader) = open(&options);
    let id = spool.id();
    // All that was appended; how much of it was read, and shipped; up to where.
    let mut appended: Vec<Vec<u8>> = Vec::new();
    let (mut read, mut shipped) = (0, 0);
    let (mut read_to, mut shipped_to) = (Position::default(), Position::default());
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Append(length) => {
                let mut record = number.to_le_bytes().to_vec();
                record.resize(length.max(8), b'.');
                let room = options.max_bytes.saturating_sub(spool.status().bytes);
                if spool.append(&record).await.is_ok() {
                    appended.push(record);
                } else {
                    assert!(record.len() as u64 + 64 > room, "refused with {room} bytes of room");
                }
            }
            Step::Read { records, bytes } => {
                let batch = reader.next_batch(records, bytes).await.unwrap();
                assert_eq!(batch.damaged, None);
                assert!(batch.len() <= records.max(1) && (!batch.is_empty() || read == appended.len()));
                assert!(batch.records().eq(appended[read..read + batch.len()].iter().map(Vec::as_slice)));
                assert!(batch.to >= read_to);
                read += batch.len();
                read_to = batch.to;
            }
            Step::Ship => {
                reader.acknowledge(read_to).unwrap();
                (shipped, shipped_to) = (read, read_to);
            }
            Step::Close | Step::Kill => {
                if matches!(step, Step::Kill) {
                    options = killed(&options, &folder.path().join(number.to_string()));
                }
                drop((spool, reader));
                (spool, reader) = open(&options);
                assert_eq!(spool.id(), id);
                assert_eq!(reader.seek(shipped_to).await.unwrap(), Sought::There);
                (read, read_to) = (shipped, shipped_to);
            }
            Step::ForgetShipped => {
                // The one who ships lost its connection: it begins again where it was.
                assert_eq!(reader.seek(shipped_to).await.unwrap(), Sought::There);
                (read, read_to) = (shipped, shipped_to);
            }
        }
        let status = spool.status();
        assert_eq!(status.records, (appended.len() - shipped) as u64);
        // A process that opens a full spool begins its segment all the same.
        assert!(status.bytes <= options.max_bytes + HEADER_BYTES);
    }
}
