//! Puts the parts together, starts and stops them. Every instance serves admission, probes and metrics; the one that holds the
//! lease reconciles too.

use std::{sync::Arc, time::Duration};

use futures::TryFutureExt as _;
use kube::{Client, runtime::reflector::Store};
use telegram_webhook_crds::TelegramWebhook;
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin},
    admission,
    args::Args,
    controller,
    dns::SystemResolver,
    events::Events,
    fallback,
    leader::{Elector, KubeLease, Lost},
    metrics::Metrics,
    reconcile::{Context, memory::Memory, validate},
    telegram::client::HttpBotApi,
};

/// What is under way at a shutdown may take so long; a pod has 30 seconds by default.
const DRAIN: Duration = Duration::from_secs(20);
const SIDECAR_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const SIDECAR_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the operator ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No way to reach the cluster is configured.
    #[error("failed to find the cluster: {0}")]
    Cluster(#[from] kube::config::InferConfigError),
    /// The Kubernetes client can't be made.
    #[error("failed to make a Kubernetes client: {0}")]
    Client(#[from] kube::Error),
    /// An HTTP client can't be made.
    #[error("failed to make an HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// The admin port is taken.
    #[error("failed to listen on {0}: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// No randomness.
    #[error("failed to draw random bits: {0}")]
    Random(#[from] getrandom::Error),
    /// Admission can't be served.
    #[error("failed to serve admission: {0}")]
    Admission(#[from] admission::Error),
    /// Another instance may lead now. Starting afresh is the only safe way to go on.
    #[error(transparent)]
    Lease(#[from] Lost),
    /// The controller ended by itself.
    #[error("the controller ended")]
    Controller,
}

/// Runs until `shutdown`, or until something breaks that only a new start can mend.
pub async fn run(args: Args, shutdown: CancellationToken) -> Result<(), Error> {
    let config = kube::Config::infer().await?;
    let client = Client::try_from(config.clone())?;
    let mut without_retries = config;
    without_retries.default_retry = false;
    let lease = KubeLease::new(Client::try_from(without_retries)?, &args.namespace);

    let metrics = Arc::new(Metrics::default());
    let (admission_ready, admission) = watch::channel(false);
    let listener = TcpListener::bind(args.admin_address)
        .await
        .map_err(|error| Error::Listen(args.admin_address, error))?;
    let admin = Admin { client: client.clone(), admission, metrics: Arc::clone(&metrics) };
    let settings = admission::Settings {
        address: args.admission_address,
        namespace: args.namespace.clone(),
        service: args.admission_service.clone(),
        configuration: args.admission_configuration.clone(),
        images: admission::Images {
            injected: args.sidecar_image.clone(),
            mirrors: args.allowed_sidecar_repository.clone(),
        },
    };
    tracing::info!(namespace = args.namespace, pod = args.pod_name, "operator starts");
    tokio::try_join!(
        admission::run(client.clone(), settings, admission_ready, shutdown.clone()).map_err(Error::from),
        async {
            admin::serve(listener, admin, shutdown.clone()).await;
            Ok(())
        },
        lead(&args, client, lease, metrics, shutdown.clone()),
    )?;
    tracing::info!("operator stops");
    Ok(())
}

/// Waits for the lease and reconciles while it lasts.
async fn lead(
    args: &Args,
    client: Client,
    lease: KubeLease,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let bots = Arc::new(HttpBotApi::new(Arc::clone(&metrics))?);
    let sidecars = reqwest::Client::builder()
        .no_proxy()
        // sidecars close what is idle after a few seconds, which may be just when the next request is on its way
        .pool_max_idle_per_host(0)
        .connect_timeout(SIDECAR_CONNECT_TIMEOUT)
        .timeout(SIDECAR_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    // a pod that was replaced in place has the same name
    let identity = format!("{}_{:016x}", args.pod_name, getrandom::u64()?);
    let mut elector = Elector::new(lease, identity);
    tokio::select! {
        () = elector.acquire() => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    tracing::info!("leading");
    metrics.leads(true);
    let context = |store| Context {
        client: client.clone(),
        bots,
        sidecars,
        resolver: Arc::new(SystemResolver),
        store,
        events: Events::new(client.clone(), Some(args.pod_name.clone())),
        metrics: Arc::clone(&metrics),
        memory: Memory::default(),
        settings: validate::Settings {
            local_api_servers: args.local_api_server.clone(),
            sidecar_image: args.sidecar_image.clone(),
        },
        resync: args.resync,
        cleanup_deadline: args.cleanup_deadline,
    };
    let result = tokio::select! {
        lost = elector.keep() => Err(Error::Lease(lost)),
        () = control(client.clone(), context, &shutdown) => Ok(()),
        () = overdue(&shutdown) => Ok(()),
    };
    metrics.leads(false);
    result?;
    elector.release().await;
    if shutdown.is_cancelled() { Ok(()) } else { Err(Error::Controller) }
}

/// Both controllers, until one ends.
async fn control(
    client: Client,
    context: impl FnOnce(Store<TelegramWebhook>) -> Context,
    shutdown: &CancellationToken,
) {
    let stop = shutdown.child_token();
    let (resources, gates) = (stop.clone(), stop.clone());
    tokio::join!(
        async {
            controller::run(client.clone(), context, resources).await;
            stop.cancel();
        },
        async {
            fallback::run(client.clone(), gates).await;
            stop.cancel();
        },
    );
}

async fn overdue(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    sleep(DRAIN).await;
}
