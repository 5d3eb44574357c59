//! `regate serve`: the start, from top to bottom, and the end.

use std::{io::Write, path::PathBuf, sync::Arc};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    configuration::{Authentication, Configuration},
    demo::Demo,
    exit::{CommandError, Exit},
    policies,
    store::{self, StoreArguments},
};
use crate::{
    api::{self, DecisionPoint, Server, Shared},
    policy::Live,
    telemetry,
    types::{RandomIds, SystemClock},
};

/// Answer gateways' questions
///
/// Without any configuration: on 127.0.0.1:8181, from the shipped policies and the SQLite file
/// regate.sqlite in this folder. Prints one line with the bound address once it can decide. SIGTERM
/// and SIGINT finish what is in flight and exit 0.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    store: StoreArguments,
    /// Address and port for HTTP [default: 127.0.0.1:8181]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Policy folder [default: the shipped policies, which are built in]
    #[arg(long, value_name = "FOLDER")]
    policies: Option<PathBuf>,
    /// Every gateway must present a token of kind `gateway`; needed unless the address is loopback
    #[arg(long)]
    gateways_must_authenticate: bool,
    /// Also serve example users, projects and tokens, from memory unless a database is named, and
    /// print curl lines to paste
    #[arg(long)]
    demo: bool,
}

impl Serve {
    fn configuration(&self) -> Result<Configuration, CommandError> {
        let mut configuration = self.store.configuration()?;
        if let Some(listen) = &self.listen {
            configuration.http.listen.clone_from(listen);
        }
        if let Some(folder) = &self.policies {
            configuration.policy.folder = Some(folder.clone());
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
        telemetry::start_log(configuration.log.format, &configuration.log.level)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve(&configuration))?;
        Ok(Exit::Done)
    }

    async fn serve(&self, configuration: &Configuration) -> Result<(), CommandError> {
        // What can be refused without touching anything is refused first.
        let authentication = configuration.authentication()?;
        let rules = configuration.decision_rules()?;
        let workers = tokio::runtime::Handle::current().metrics().num_workers();
        let bundle = Arc::new(policies::compile(configuration, workers)?);
        tracing::info!(
            source = configuration.policy_source().describe(),
            revision = %bundle.revision(),
            "policy compiled"
        );
        let store = store::open(configuration).await?;
        let demo = match self.demo {
            true => Some(Demo::write(&*store).await?),
            false => None,
        };
        let snapshot = Arc::new(store::load(&*store).await?);
        let live = Arc::new(Live::new(bundle, snapshot));
        let new_ids: api::NewIds = Arc::new(|| Box::new(RandomIds::new()));
        let point = DecisionPoint::new(live, rules, Arc::new(SystemClock), new_ids, authentication);
        let bounds = Arc::new(configuration.bounds());
        let server = Server::bind(&configuration.http.listen, Arc::clone(&bounds)).await?;
        let address = server.address()?;
        // Before the line is printed: whoever reads it may send a signal at once.
        let end = end_signal()?;
        let mut output = std::io::stdout();
        writeln!(output, "regate is ready: http://{address}")?;
        if let Some(demo) = demo {
            write!(output, "{}", demo.curl_lines(address))?;
        }
        output.flush()?;
        let router = api::router(Shared { point: Arc::new(point), bounds });
        server.serve(router, end).await;
        store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

fn end_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
