//! `regate serve`: the start, from top to bottom, and the end.

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use tokio::{sync::watch, task::JoinSet};

use super::{
    configuration::{self, Authentication, Configuration},
    credential_work::CredentialWork,
    demo::Demo,
    doors::Doors,
    exit::{CommandError, Exit},
    log_level::LevelChanges,
    metrics, open_files,
    recording::Recording,
    signals::Signals,
    store::{self, StoreArguments},
};
use crate::{
    api::{self, DecisionPoint, Management, RequestObserver, Server, Shared, TokenUses},
    decision::{OwnReason, SnapshotBuilder},
    feed::{Feed, LiveStore},
    limits::{Limiter, LimiterOptions, SharedOptions},
    policy::{FirstBundle, Live},
    store::upstreams::UpstreamStore,
    telemetry::{self, DecisionMetrics, Traces},
    types::{Clock, DataRevision, OpenSealed, RandomIds, SystemClock},
    upstream,
};

/// Room for the longest chain of rules that a bundle may have, and for its explanation, twice over.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Answer gateways' questions
///
/// Without any configuration: on 127.0.0.1:8181, from the shipped policies and the SQLite file
/// regate.sqlite in this folder. A change of the policy folder decides as soon as it has been compiled and
/// has passed its tests; until then, and if it does not, the last good bundle decides. Prints one line with the bound addresses once it can decide. SIGTERM
/// and SIGINT finish what is in flight and exit 0; a second one ends at once, and exits 1. SIGHUP reads the level of the log
/// anew.
///
/// TLS ([tls] in the configuration), Unix sockets and each gateway's settings: docs/gateways/.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    store: StoreArguments,
    /// Address and port for HTTP, or unix:PATH [default: 127.0.0.1:8181]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address and port for gRPC, or unix:PATH, or off [default: 127.0.0.1:9191, if it is free]
    #[arg(long, value_name = "ADDRESS")]
    grpc_listen: Option<String>,
    /// Policy folder, watched for changes [default: the shipped policies, which are built in]
    #[arg(long, value_name = "FOLDER")]
    policies: Option<PathBuf>,
    /// Folder of policy tests: a bundle that does not pass them never decides, at the start or later
    /// [default: none but the *_test.rego files within the policy folder]
    #[arg(long, value_name = "FOLDER")]
    policy_tests: Option<PathBuf>,
    /// Deny (`data.stale`) when the data has not been known to be current for longer than this, such
    /// as 10s [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = configuration::parse_duration)]
    max_staleness: Option<Duration>,
    /// Every gateway must present a token of kind `gateway`; needed unless all addresses are loopback or Unix sockets
    #[arg(long)]
    gateways_must_authenticate: bool,
    /// Also serve example users, projects and tokens, from memory unless a database is named, and
    /// print curl lines to paste
    #[arg(long)]
    demo: bool,
}

/// How long the end waits for what was noted of tokens to be written.
const LAST_WRITE_TIME: Duration = Duration::from_secs(2);

impl Serve {
    fn configuration(&self) -> Result<Configuration, CommandError> {
        let mut configuration = self.store.configuration()?;
        if let Some(listen) = &self.listen {
            configuration.http.listen.clone_from(listen);
        }
        if let Some(listen) = &self.grpc_listen {
            configuration.grpc.listen = Some(listen.clone());
        }
        configuration.check_listeners()?;
        if let Some(folder) = &self.policies {
            configuration.policy.folder = Some(folder.clone());
        }
        if let Some(folder) = &self.policy_tests {
            configuration.policy.tests = Some(folder.clone());
        }
        if let Some(time) = self.max_staleness {
            configuration.data.max_staleness = time;
        }
        if self.gateways_must_authenticate {
            configuration.gateways.authentication = Authentication::Required;
        }
        if self.demo && self.store.database_url.is_none() {
            configuration.set_database_url("sqlite::memory:".to_owned());
        }
        Ok(configuration)
    }

    /// Serves until a signal comes.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let configuration = self.configuration()?;
        let level = telemetry::start_log(configuration.log.format, &configuration.log.level)?;
        // Made and ended outside of the runtime: their client has one of its own.
        let traces = configuration.traces.settings()?.map(|settings| Traces::start(&settings)).transpose()?;
        let traces = traces.map(Arc::new);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        let served = runtime.block_on(async {
            let changes = LevelChanges::catch(level, &configuration.log.level)?;
            tokio::select! {
                served = self.serve(&configuration, traces.as_ref()) => served,
                () = changes.follow(|| self.configuration()) => Ok(()),
            }
        });
        drop(runtime);
        if let Some(traces) = &traces {
            // Who sent a second signal does not wait.
            traces.stop(served.is_err());
        }
        served.map(|()| Exit::Done)
    }

    async fn serve(
        &self,
        configuration: &Configuration,
        traces: Option<&Arc<Traces>>,
    ) -> Result<(), CommandError> {
        // What can be refused without touching anything is refused first.
        let authentication = configuration.authentication()?;
        let rules = configuration.decision_rules()?;
        let faces = Arc::new(configuration.faces()?);
        let workers = tokio::runtime::Handle::current().metrics().num_workers();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let first = FirstBundle::prepare(configuration.policy_settings(workers)?, Arc::clone(&clock))?;
        let documents = configuration.own_documents()?;
        let sessions = configuration.sessions(Arc::clone(&clock))?;
        let keys = configuration.key_ring()?;
        let limiter = Arc::new(limiter(configuration, &clock)?);
        // Sessions of an issuer are answered 503 until its keys are here: nothing else waits for them.
        let key_refresh = sessions.as_ref().map(|sessions| sessions.keep_keys());
        // Before anything takes long: whoever is told to end while loading ends at once.
        let mut signals = Signals::catch()?;
        let opening = async {
            let store = store::open(configuration).await?;
            upstream::check_keys(&*store, keys.as_deref()).await?;
            let demo = match self.demo {
                true => Some(Demo::write(&*store, authentication).await?),
                false => None,
            };
            Ok::<_, CommandError>((store, demo))
        };
        let (store, demo) = tokio::select! {
            opened = opening => opened?,
            () = signals.next() => return Ok(()),
        };
        let recording = Recording::begin(configuration, &store, &clock, &mut RandomIds::new())?;
        let mounts = documents.iter().map(|document| document.mount.clone()).collect();
        let nothing = SnapshotBuilder::new(mounts).finish(DataRevision::default());
        let live = Arc::new(Live::new(Arc::clone(first.bundle()), nothing));
        let policies = first.keep(Arc::clone(&live), configuration.watch_options())?;
        let options = configuration.feed_options();
        let feed =
            Feed::start(Arc::clone(&store), Arc::clone(&live), Arc::clone(&clock), options, documents)?;
        let live_store = Arc::new(LiveStore::new(Arc::clone(&store), feed.reach().clone()));
        let credential_store: Arc<dyn UpstreamStore> = live_store.clone();
        let credential_work = CredentialWork::begin(configuration, &credential_store, keys.as_ref(), &clock)?;
        let new_ids: api::NewIds = Arc::new(|| Box::new(RandomIds::new()));
        let mut bounds = configuration.bounds();
        let listeners = [true, configuration.grpc.is_on(), configuration.metrics.listen.is_some()];
        let listeners = listeners.into_iter().filter(|on| *on).count();
        bounds.connections = open_files::connections(bounds.connections, listeners);
        let bounds = Arc::new(bounds);
        let observer =
            RequestObserver::new(Arc::clone(&clock), configuration.log.requests, traces.map(Arc::clone));
        let doors = Doors::open(configuration, &bounds, Arc::new(observer)).await?;
        let mut rules = rules;
        rules.connect_url = Some(configuration.connect_url(&doors.own_url()));
        if let Some(keys) = &keys {
            // What goes on to upstreams is opened by decisions, with the keys that are reloaded below.
            rules.keys = Arc::clone(keys) as Arc<dyn OpenSealed>;
        }
        let staleness = options.max_staleness;
        let uses = Arc::new(TokenUses::default());
        let point = DecisionPoint::new(
            live,
            rules,
            Arc::clone(&clock),
            Arc::clone(&new_ids),
            authentication,
            staleness,
        );
        let own_reasons = OwnReason::ALL.iter().map(|reason| reason.code());
        let measured = Arc::new(DecisionMetrics::new().expecting(own_reasons));
        let recorder = recording.as_ref().map(Recording::recorder);
        let point = point.noting(Arc::clone(&uses)).renewing(credential_work.renewals());
        let point = point.limiting(Arc::clone(&limiter)).recording(recorder);
        let point = Arc::new(point.measuring(Arc::clone(&measured)));

        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        if let Some(listen) = &configuration.metrics.listen {
            let metrics = Server::bind(listen, Arc::clone(&bounds))
                .await
                .map_err(|error| error.said_by("[metrics] listen"))?;
            tracing::info!(address = %metrics.address()?, "metrics at /metrics");
            let mut registry =
                metrics::registry(&point, feed.reach(), policies.reloader(), sessions.as_ref(), &uses);
            credential_work.show(&mut registry);
            doors.show(&mut registry);
            metrics::limits(&mut registry, &limiter);
            if let Some(recording) = &recording {
                recording.show(&mut registry);
            }
            measured.show(&mut registry);
            if let Some(traces) = traces {
                traces.show(&mut registry);
            }
            servers.spawn(metrics.serve(api::metrics_router(Arc::new(registry)), until(stopped.clone())));
        }
        let feed_reach = Some(feed.reach().clone());
        let reloader = Some(policies.reloader().clone());
        let random = store::randomness()?;
        let limits = configuration.token_limits();
        let management =
            Management::new(live_store, clock, new_ids, random, limits, credential_work.credentials());
        let reader = configuration::credential_reader(sessions.as_ref());
        let shared = Shared {
            point: Arc::clone(&point),
            bounds,
            // Each listener has its own.
            channel: api::Channel::Plain,
            faces,
            credentials: reader,
            feed: feed_reach,
            policies: reloader,
            management: Some(Arc::new(management)),
        };
        let interval = configuration.tokens.last_used_interval;
        let writing = uses.write_behind(Arc::clone(&store), interval, until(stopped.clone()));
        let mut writing = tokio::spawn(writing);

        let (urls, curl_target) = (doors.urls(), doors.curl_target());
        doors.serve(shared, &mut servers, || until(stopped.clone()));
        let ready = tokio::select! {
            () = feed.loaded() => true,
            () = signals.next() => false,
        };
        if ready {
            // The signals are caught already: whoever reads the line may send one at once.
            let mut output = std::io::stdout();
            writeln!(output, "regate is ready: {urls}")?;
            if let Some(demo) = demo {
                write!(output, "{}", demo.curl_lines(&curl_target))?;
            }
            output.flush()?;
            signals.next().await;
        }
        let ending = async {
            point.announce_end();
            if ready {
                // Load balancers hear of it before they are refused.
                tokio::time::sleep(configuration.http.drain_delay).await;
            }
            // Who waits for a reload is told that none will come.
            drop(policies);
            drop(key_refresh);
            stop.send_replace(true);
            let drained = async { while servers.join_next().await.is_some() {} };
            tokio::join!(drained, credential_work.finish());
            // What was noted and recorded until the end is written, unless the database takes too long for it.
            let noted = tokio::time::timeout(LAST_WRITE_TIME, &mut writing);
            let recorded = async {
                if let Some(recording) = recording {
                    recording.finish().await;
                }
            };
            if tokio::join!(noted, recorded).0.is_err() {
                writing.abort();
            }
            feed.stop();
            // Nor does the end wait for a database that does not answer.
            let _ = tokio::time::timeout(LAST_WRITE_TIME, store.close()).await;
        };
        tokio::select! {
            () = ending => tracing::info!("stopped"),
            () = signals.next() => {
                let text = "ended at once by a second signal: what was in flight is cut";
                return Err(CommandError::Refused(text.to_owned()));
            }
        }
        Ok(())
    }
}

/// What counts calls, as the configuration says.
fn limiter(configuration: &Configuration, clock: &Arc<dyn Clock>) -> Result<Limiter, CommandError> {
    let options = LimiterOptions { max_keys: configuration.limits.max_keys };
    Ok(match configuration.limits.redis_url()? {
        Some(url) => {
            let shared = SharedOptions { url, timeout: configuration.limits.redis_timeout };
            Limiter::shared(shared, options, Arc::clone(clock))?
        }
        None => Limiter::local(options, Arc::clone(clock)),
    })
}

/// Done when the channel says so.
async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
