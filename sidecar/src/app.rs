//! Builds every part, in the order in which they depend on each other, and stops them in reverse.

mod readiness;
pub mod signals;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::readiness::Readiness;
use crate::{
    admin::{Admin, DeadLetters},
    args::RunArgs,
    audit::Refusals,
    bans::Bans,
    config::{Problems, reload::Reloader},
    delivery::Crm,
    ingress::{
        Ingress, Sources,
        dedup::{Dedup, StateError},
        rate_limit::RateLimits,
    },
    metrics::Metrics,
    queue::Clock,
    queues::{self, Queues},
    server::{Server, tls},
};

/// Telegram closes its idle connections after 60 s: it must be the one to do so, or it would send updates into connections that
/// are going away.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Whoever asks at the admin port says so at once; the kubelet's probes need its few places.
const ADMIN_IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// More threads than this cost memory and help nobody: a request is a few microseconds of work.
const MAX_THREADS: usize = 4;

/// The sidecar with its configuration loaded and its ports bound.
pub struct App {
    options: RunArgs,
    reloader: Reloader,
    webhook: Server<Ingress>,
    admin: Server<Admin>,
    readiness: Arc<Readiness>,
    queues: Arc<Queues>,
    deliveries: TaskTracker,
}

/// Why the sidecar doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("configuration: {0}")]
    Config(#[from] Problems),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Queue(#[from] queues::OpenError),
    #[error("listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A runtime with one thread per processor that we may use, and none but the caller's where there is just one.
pub fn runtime() -> io::Result<Runtime> {
    let threads = thread::available_parallelism().map_or(1, |processors| processors.get().min(MAX_THREADS));
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder
        .worker_threads(threads)
        .max_blocking_threads(2) // reading the configuration
        .enable_all()
        .build()
}

// === impl App ===

impl App {
    /// Loads and checks everything, then binds both ports; serves nothing yet.
    pub async fn start(options: RunArgs) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        let readiness = Arc::new(Readiness::default());
        let deliveries = TaskTracker::new();
        let reloader = Reloader::load(options.config.source(), metrics.clone())?;
        let dedup = Dedup::open(&options.state_dir, metrics.clone(), SystemTime::now())?;
        let tls = TlsAcceptor::from(Arc::new(tls::server_config(reloader.policy())?));
        let sources = Arc::new(Sources::new(metrics.clone()));
        let bans = Arc::new(Bans::new(metrics.clone()));
        let crm = Crm::new(metrics.clone(), deliveries.clone());
        let queues = Arc::new(Queues::new(queues::Parts {
            state_dir: options.state_dir.clone(),
            crm: crm.clone(),
            metrics: metrics.clone(),
            readiness: Arc::clone(&readiness),
            bans: Arc::clone(&bans),
            policy: reloader.policy(),
            clock: Clock::new(),
            grace: options.shutdown_deadline,
            tasks: deliveries.clone(),
            store_only: options.store_only,
        }));
        queues.follow(&reloader.policy().load()).await?;
        let webhook = Server {
            listener: listen(options.listen).await?,
            tls: Some(tls),
            handler: Ingress {
                policy: reloader.policy(),
                dedup,
                queues: Arc::clone(&queues),
                crm,
                metrics: metrics.clone(),
                readiness: Arc::clone(&readiness),
                sources: Arc::clone(&sources),
                rate_limits: RateLimits::new(),
                bans: Arc::clone(&bans),
                refusals: Refusals::default(),
            },
            idle_timeout: IDLE_TIMEOUT,
            metrics: Some(metrics.clone()),
        };
        let admin = Server {
            listener: listen(options.admin_listen).await?,
            tls: None,
            handler: Admin {
                policy: reloader.policy(),
                metrics,
                readiness: Arc::clone(&readiness),
                sources,
                bans,
                dead_letters: DeadLetters::new(Arc::clone(&queues) as _),
                queues: Arc::clone(&queues) as _,
            },
            idle_timeout: ADMIN_IDLE_TIMEOUT,
            metrics: None,
        };
        Ok(Self { options, reloader, webhook, admin, readiness, queues, deliveries })
    }

    /// Serves until told to stop, then finishes what is under way, for as long as the deadline allows.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stop_webhook, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let rest = TaskTracker::new();
        let (webhook_address, admin_address) = (self.webhook.address(), self.admin.address());
        let queues = Arc::clone(&self.queues);
        let (policy, changed) = (self.reloader.policy(), self.reloader.changed());
        let stop_following = stop_rest.clone();
        rest.spawn(async move { queues.run(policy, changed, stop_following).await });
        rest.spawn(self.reloader.run(self.options.poll_interval, stop_rest.clone()));
        rest.spawn(self.admin.run(stop_rest.clone()));
        let webhook = tokio::spawn(self.webhook.run(stop_webhook.clone()));
        self.readiness.start_listening();
        // for people, and for whoever asked for port 0
        tracing::info!(webhook_address, admin_address, "listening");

        stop.await;
        self.readiness.start_draining();
        stop_webhook.cancel();
        tracing::info!("stopping");
        self.deliveries.close();
        let finished = async {
            if let Err(error) = webhook.await {
                tracing::error!(%error, "the server of the webhook port broke down");
            }
            self.queues.close_all().await;
            self.readiness.end_draining();
            self.deliveries.wait().await;
            // last, so that it can be asked how the rest is doing
            stop_rest.cancel();
            rest.close();
            rest.wait().await;
        };
        if timeout(self.options.shutdown_deadline, finished).await.is_ok() {
            tracing::info!("stopped");
        } else {
            tracing::warn!("stopped at the deadline with requests under way");
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}
