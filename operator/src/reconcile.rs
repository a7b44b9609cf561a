//! One pass over a TelegramWebhook, top to bottom: dereference -> validate -> identify -> build -> assess -> apply -> register
//! -> status. Each step is a file of the same name, but for identify (in `register`, since it asks the same server) and assess
//! (in `acknowledgement`, `visibility`, `delivery` and `fallback`). Dereference, apply and status use the Kubernetes API, identify and register the Bot
//! API; validate, build and assess are pure. The status is written whatever the outcome, and nothing is written when nothing changes. A mistake
//! stops the pass before anything of a webhook that works is changed.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        controller::Action,
        finalizer::{Error as FinalizerError, Event, finalizer},
        reflector::Store,
    },
};
use telegram_webhook_crds::{FINALIZER, TelegramWebhook};
use tokio::time::Instant;

pub mod acknowledgement;
pub mod apply;
pub mod build;
pub mod cleanup;
pub mod delivery;
pub mod dereference;
pub mod fallback;
pub mod memory;
pub mod register;
mod schedule;
pub mod status;
pub mod stored;
mod summary;
pub mod validate;
pub mod visibility;

use self::{
    acknowledgement::assess,
    apply::{SecretLedger, apply, patch_status},
    build::build,
    cleanup::cleanup,
    delivery::delivery,
    dereference::dereference,
    fallback::fallback,
    memory::Memory,
    register::{Outcome, Telegram, identify, register, whole_second},
    status::{Reason, Report, compute},
    stored::Material,
    validate::validate,
    visibility::visibility,
};
use crate::{
    dns::Resolver,
    events::Events,
    kubernetes::{self, within},
    metrics::Metrics,
    telegram::BotApi,
};

/// No pass takes that long unless something hangs.
const PASS_TIMEOUT: Duration = Duration::from_secs(150);

/// What every pass works with.
pub struct Context {
    /// For the Kubernetes API.
    pub client: Client,
    /// For the Bot API.
    pub bots: Arc<dyn BotApi>,
    /// For the sidecars' admin port.
    pub sidecars: reqwest::Client,
    /// For the hosts of resources.
    pub resolver: Arc<dyn Resolver>,
    /// Every TelegramWebhook, as the watch last saw it.
    pub store: Store<TelegramWebhook>,
    /// Publishes Events.
    pub events: Events,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Remembers between passes.
    pub memory: Memory,
    /// What resources may ask for.
    pub settings: validate::Settings,
    /// Between two looks at a resource that nothing has happened to.
    pub resync: Duration,
    /// How long a deletion may be held up.
    pub cleanup_deadline: Duration,
}

/// A pass failed: one variant per step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fetching what the resource points at.
    #[error("failed to fetch what the resource points at: {0}")]
    Dereference(kubernetes::Error),
    /// The resource can't be registered as it is.
    #[error("{0}")]
    Validate(validate::Invalid),
    /// No randomness.
    #[error("failed to draw random bits: {0}")]
    Build(getrandom::Error),
    /// Writing the children.
    #[error("failed to write the Secret, the Service or the Deployment: {0}")]
    Apply(kubernetes::Error),
    /// Telling Telegram.
    #[error("{0}")]
    Register(register::Error),
    /// Writing the status.
    #[error("failed to write the status: {0}")]
    Status(kubernetes::Error),
    /// Dealing with the webhook of a deleted resource.
    #[error("{0}")]
    Cleanup(cleanup::Error),
    /// Adding or removing the finalizer.
    #[error("failed to change the finalizers: {0}")]
    Finalizer(kubernetes::Error),
    /// The whole pass took too long.
    #[error("the pass took too long")]
    Timeout,
}

/// How far a pass has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// `spec.suspend`.
    Suspended,
    /// All the way.
    Done(Outcome),
}

/// The steps.
async fn steps(webhook: &TelegramWebhook, context: &Context, report: &mut Report) -> Result<Progress, Error> {
    if webhook.spec.suspend {
        return Ok(Progress::Suspended);
    }
    // Kubernetes API, reads only
    let found = Box::pin(dereference(context, webhook)).await.map_err(Error::Dereference)?;
    // pure
    let valid = validate(webhook, &found, &context.settings, Timestamp::now()).map_err(Error::Validate)?;
    // Bot API, reads only
    let telegram = Telegram {
        api: context.bots.as_ref(),
        memory: &context.memory,
        uid: &webhook.uid().unwrap_or_default(),
    };
    let identity = identify(&telegram, &valid, report).await.map_err(Error::Register)?;
    // pure
    let prepared = build(&valid, Material::draw().map_err(Error::Build)?, Timestamp::now());
    // pure, all four
    let acknowledgement = assess(&found.pods, &prepared.expected, report);
    visibility(&found.pods, &prepared.expected, valid.source_address.mode, report);
    delivery(&found.pods, &prepared.expected, valid.delivery.delivery.answer_after, report);
    fallback(&found.pods, &prepared.expected, valid.fallback.is_some(), report);
    // Kubernetes API, writes what differs
    let applied = Box::pin(apply(&context.client, prepared, &found, acknowledgement));
    let applied = applied.await.map_err(Error::Apply)?;
    valid.check_obstacles().map_err(Error::Validate)?;
    // Bot API
    let ledger = SecretLedger { client: context.client.clone(), secret: &applied.secret };
    let outcome = register(&telegram, &ledger, &valid, &applied, (identity, acknowledgement), report)
        .await
        .map_err(Error::Register)?;
    Ok(Progress::Done(outcome))
}

/// One pass with everything around it: finalizer, status, Events, metrics, and when to come back.
pub async fn reconcile(webhook: Arc<TelegramWebhook>, context: Arc<Context>) -> Result<Action, Error> {
    let started = Instant::now();
    let namespace = webhook.namespace().unwrap_or_default();
    let api = Api::<TelegramWebhook>::namespaced(context.client.clone(), &namespace);
    let pass = finalizer(&api, FINALIZER, Arc::clone(&webhook), |event| async {
        match event {
            Event::Apply(webhook) => converge(&api, &webhook, &context).await,
            Event::Cleanup(webhook) => say_goodbye(&webhook, &context).await,
        }
    });
    let result = match tokio::time::timeout(PASS_TIMEOUT, pass).await {
        Ok(result) => settle(result),
        Err(_) => Err(Error::Timeout),
    };
    let (label, reason) = match &result {
        Ok(_) => ("success", String::new()),
        Err(error) => ("error", error.reason().to_string()),
    };
    context.metrics.reconciled(label, reason, started.elapsed());
    result
}

/// The steps on the resource as it is now, then its status.
async fn converge(
    api: &Api<TelegramWebhook>,
    cached: &TelegramWebhook,
    context: &Context,
) -> Result<Action, Error> {
    // the watch may lag behind our own last write, and slots and status must not be decided on old ones
    let live = within(api.get_opt(&cached.name_any())).await.map_err(Error::Dereference)?;
    let Some(webhook) = live.filter(|live| live.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let uid = webhook.uid().unwrap_or_default();
    let mut report = Report::default();
    let result = Box::pin(steps(&webhook, context, &mut report)).await;

    let old = webhook.status.clone().unwrap_or_default();
    let ending = summary::ending(&result, &mut report);
    let new = compute(
        &old,
        webhook.metadata.generation.unwrap_or_default(),
        &report,
        &ending,
        whole_second(Timestamp::now()),
    );
    context.metrics.readiness(&uid, Some(summary::ready(&new)));
    if new != old {
        patch_status(&context.client, &webhook, &new).await.map_err(Error::Status)?;
    }
    for notice in summary::notices(&old, &new, &result) {
        context.events.publish(&webhook, notice).await;
    }
    let progress = result?;
    Ok(schedule::next(context, &uid, progress))
}

async fn say_goodbye(webhook: &TelegramWebhook, context: &Context) -> Result<Action, Error> {
    let farewell = cleanup(context, webhook).await.map_err(Error::Cleanup)?;
    tracing::info!(namespace = webhook.namespace(), name = webhook.name_any(), ?farewell, "deleted");
    let uid = webhook.uid().unwrap_or_default();
    context.memory.forget(&uid);
    context.metrics.readiness(&uid, None);
    Ok(Action::await_change())
}

/// A resource that is gone needs no finalizer.
fn settle(result: Result<Action, FinalizerError<Error>>) -> Result<Action, Error> {
    match result {
        Ok(action) => Ok(action),
        Err(FinalizerError::ApplyFailed(error) | FinalizerError::CleanupFailed(error)) => Err(error),
        Err(FinalizerError::AddFinalizer(error) | FinalizerError::RemoveFinalizer(error)) => {
            match kubernetes::Error::from(error) {
                error if error.is_not_found() => Ok(Action::await_change()),
                error => Err(Error::Finalizer(error)),
            }
        }
        Err(FinalizerError::UnnamedObject | FinalizerError::InvalidFinalizer) => Ok(Action::await_change()),
    }
}

/// When to try again after a failure.
#[expect(clippy::needless_pass_by_value, reason = "kube calls it with what it owns")]
pub fn error_policy(webhook: Arc<TelegramWebhook>, error: &Error, context: Arc<Context>) -> Action {
    schedule::after_failure(&context, &webhook, error)
}

// === impl Error ===

impl Error {
    /// Its stable name.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Validate(invalid) => invalid.reason(),
            Self::Build(_) | Self::Timeout => Reason::InternalError,
            Self::Register(error) => error.reason(),
            Self::Cleanup(cleanup::Error::Telegram(_)) => Reason::BotApiUnavailable,
            Self::Dereference(_)
            | Self::Apply(_)
            | Self::Status(_)
            | Self::Finalizer(_)
            | Self::Cleanup(cleanup::Error::Read(_)) => Reason::KubernetesApiFailed,
        }
    }
}

#[cfg(test)]
mod tests;
