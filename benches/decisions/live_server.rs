//! regate over a database, put together as `regate serve` does it: in this process, or in another that
//! answers over HTTP.

use std::{sync::Arc, time::Duration};

use regate::{
    api::{
        self, Asker, Channel, DecisionPoint, GatewayAuthentication, HttpBounds, NewIds, QuestionMessage,
        Shared, TokenUses,
    },
    auth::CredentialReader,
    decision::{Decision, DecisionRules, SnapshotBuilder},
    feed::{Feed, FeedOptions, LiveStore},
    policy::Live,
    store::{self, ConnectOptions, Store},
    types::{DataRevision, RandomIds, SystemClock},
};

use crate::{http, world};

/// A store, and all that decides from it.
pub struct Serving {
    pub store: Arc<dyn Store>,
    pub live: Arc<Live>,
    pub feed: Feed,
    pub point: Arc<DecisionPoint>,
}

impl Serving {
    /// Starts, and returns when everything is loaded.
    pub async fn start(database: &str) -> Self {
        let store = store::connect(database, ConnectOptions::default()).await.expect("a store");
        let workers = tokio::runtime::Handle::current().metrics().num_workers();
        let nothing = SnapshotBuilder::default().finish(DataRevision::default());
        let live = Arc::new(Live::new(world::bundle(workers), nothing));
        let clock = Arc::new(SystemClock);
        let options = FeedOptions::default();
        let feed = Feed::start(Arc::clone(&store), Arc::clone(&live), clock, options, Vec::new());
        let feed = feed.expect("a thread");
        let point = point(Arc::clone(&live), options.max_staleness);
        feed.loaded().await;
        Self { store, live, feed, point: Arc::new(point) }
    }

    /// The store whose writes the next decision sees.
    pub fn live_store(&self) -> LiveStore {
        LiveStore::new(Arc::clone(&self.store), self.feed.reach().clone())
    }
}

/// Decides from what is live.
pub fn point(live: Arc<Live>, max_staleness: Duration) -> DecisionPoint {
    let new_ids: NewIds = Arc::new(|| Box::new(RandomIds::new()));
    let (rules, clock) = (DecisionRules::default(), Arc::new(SystemClock));
    DecisionPoint::new(live, rules, clock, new_ids, GatewayAuthentication::Optional, max_staleness)
        .noting(Arc::new(TokenUses::default()))
}

/// A question that is asked again and again.
pub struct Asked(String);

impl Asked {
    /// Whether the global token of this user may read its project.
    pub fn read_of(user: usize) -> Self {
        Self::new(&world::read_of(user))
    }

    /// As it is on the wire.
    pub fn new(question: &serde_json::Value) -> Self {
        Self(question.to_string())
    }

    /// Asks.
    pub fn ask(&self, point: &DecisionPoint) -> Decision {
        let bounds = HttpBounds::default();
        let message = QuestionMessage::read(self.0.as_bytes(), &bounds).expect("a question");
        point.judge(
            &message
                .into_question(Asker::offline(None), &bounds, &CredentialReader::default())
                .expect("within the bounds"),
        )
    }
}

/// A process of its own: prints its address once it has loaded everything.
pub fn serve(database: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let serving = Serving::start(database).await;
        let bounds = Arc::new(HttpBounds::default());
        let feed = Some(serving.feed.reach().clone());
        http::serve_until_told(api::router(Shared {
            point: serving.point,
            bounds,
            channel: Channel::Loopback,
            faces: Arc::default(),
            credentials: CredentialReader::default(),
            feed,
            policies: None,
            management: None,
        }))
        .await;
    });
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    pub present: u64,
    pub most: u64,
}

impl Memory {
    /// As the kernel says.
    pub fn of(process: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
        };
        Self { present: bytes("VmRSS:"), most: bytes("VmHWM:") }
    }

    /// Waits until it has stood still for three seconds: freed memory goes back with some delay.
    pub async fn settled(process: u32) -> Self {
        let mut before = Self::of(process);
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let now = Self::of(process);
            if now.present.abs_diff(before.present) < before.present / 200 {
                return now;
            }
            before = now;
        }
        before
    }
}
