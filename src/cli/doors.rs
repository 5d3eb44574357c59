//! The listeners of `regate serve`: HTTP, and gRPC.

use std::{io, sync::Arc};

use tokio::task::JoinSet;

use super::{
    configuration::{Configuration, GrpcListener},
    exit::CommandError,
    metrics::number,
};
use crate::{
    api::{
        self, BoundAddress, Channel, HttpBounds, KeptContents, ListenAddress, ListenOptions, RequestObserver,
        Server, Shared, Tls,
    },
    telemetry::Metrics,
};

/// An open listener, and what is known of it.
struct Door {
    server: Server,
    address: BoundAddress,
    channel: Channel,
}

/// The listeners that questions come in by.
pub(super) struct Doors {
    http: Door,
    grpc: Option<Door>,
    tls: Option<(Arc<Tls>, KeptContents)>,
}

impl Door {
    fn new(server: Server) -> io::Result<Self> {
        let (address, channel) = (server.address()?, server.channel()?);
        Ok(Self { server, address, channel })
    }

    fn url(&self, plain: &str, tls: &str) -> String {
        self.address.with_scheme(if self.channel == Channel::Tls { tls } else { plain })
    }
}

impl Doors {
    /// Opens them: what comes before they are served waits. `observer` tells of the requests.
    ///
    /// # Errors
    /// [`CommandError::Server`] when one cannot be opened that somebody named; so the one for HTTP always.
    pub(super) async fn open(
        configuration: &Configuration,
        bounds: &Arc<HttpBounds>,
        observer: Arc<RequestObserver>,
    ) -> Result<Self, CommandError> {
        let tls = configuration.tls.files()?.map(Tls::load).transpose()?;
        let tls = tls.map(|(tls, contents)| (Arc::new(tls), contents));
        let options = configuration.listen_options(tls.as_ref().map(|(tls, _)| Arc::clone(tls)));
        let options = ListenOptions { observer: Some(observer), ..options };
        let open = async |address: ListenAddress, said_by| -> Result<Door, CommandError> {
            let server = Server::open(&address, Arc::clone(bounds), &options).await;
            Ok(Door::new(server.map_err(|error| error.said_by(said_by))?)?)
        };
        let http = open(configuration.http.listen.as_str().into(), "--listen or [http] listen").await?;
        let for_grpc = "--grpc-listen or [grpc] listen";
        let grpc = match configuration.grpc.listener() {
            GrpcListener::Off => None,
            GrpcListener::Named(address) => Some(open(address, for_grpc).await?),
            GrpcListener::Default(address) => match open(address, for_grpc).await {
                Ok(door) => Some(door),
                Err(error) => {
                    let error = error.with_causes();
                    tracing::warn!(%error, "going on without gRPC: set listen in [grpc] to another address, or to off");
                    None
                }
            },
        };
        Ok(Self { http, grpc, tls })
    }

    /// The URL of the HTTP listener.
    pub(super) fn http_url(&self) -> String {
        self.http.url("http", "https")
    }

    /// What curl is given to ask the HTTP listener, but for the path.
    pub(super) fn curl_target(&self) -> String {
        match &self.http.address {
            BoundAddress::Unix(path) => format!("--unix-socket {} http://localhost", path.display()),
            BoundAddress::Tcp(_) => self.http_url(),
        }
    }

    /// All URLs, as they are printed: HTTP first.
    pub(super) fn urls(&self) -> String {
        let grpc = self.grpc.as_ref().map(|door| door.url("grpc", "grpcs"));
        [self.http_url()].into_iter().chain(grpc).collect::<Vec<_>>().join(" ")
    }

    /// Where people's browsers find the HTTP listener. On a Unix socket there is no such place: a path is what is left.
    pub(super) fn own_url(&self) -> String {
        match &self.http.address {
            BoundAddress::Unix(_) => String::new(),
            BoundAddress::Tcp(_) => self.http_url(),
        }
    }

    /// Shows how TLS is.
    pub(super) fn show(&self, metrics: &mut Metrics) {
        let Some((tls, _)) = &self.tls else { return };
        let of_tls = |read: fn(&Tls) -> f64| {
            let tls = Arc::clone(tls);
            move || read(&tls)
        };
        metrics.counter(
            "tls_reloads",
            "How often a changed TLS certificate, key or client authority took the place of the one before",
            of_tls(|tls| number(tls.reloads())),
        );
        metrics.counter(
            "tls_reload_failures",
            "How often changed TLS files could not be used",
            of_tls(|tls| number(tls.reload_failures())),
        );
        metrics.gauge(
            "tls_failing",
            "1 while the TLS files are not what is used, because they cannot be",
            of_tls(|tls| if tls.is_failing() { 1.0 } else { 0.0 }),
        );
        metrics.counter(
            "tls_handshake_failures",
            "How often a client and regate did not come to terms about TLS",
            of_tls(|tls| number(tls.handshake_failures())),
        );
    }

    /// Serves them until `end` gives a future that is done.
    pub(super) fn serve<E>(self, shared: Shared, servers: &mut JoinSet<()>, end: impl Fn() -> E)
    where
        E: Future<Output = ()> + Send + 'static,
    {
        let Self { http, grpc, tls } = self;
        if let Some((tls, contents)) = tls {
            servers.spawn(tls.follow(contents, end()));
        }
        if let Some(Door { server, address, channel }) = grpc {
            tracing::info!(%address, "listening for gRPC");
            let shared = Shared { channel, ..shared.clone() };
            servers.spawn(server.serve(api::grpc_router(shared), end()));
        }
        let Door { server, address, channel } = http;
        servers.spawn(server.serve(api::router(Shared { channel, ..shared }), end()));
        tracing::info!(%address, "listening; loading the decision data");
    }
}
