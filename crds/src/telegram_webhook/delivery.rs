//! `spec.delivery`: how updates reach the CRM, and where they wait for it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use telegram_webhook_sidecar_config::{
    AnswerAfter, DeliveryMode,
    bounds::{CONCURRENCY, MAX_ATTEMPTS, MAX_REPLY_METHODS},
};

use super::{
    SecretRef,
    broker::{RabbitMqSpec, RedisSpec},
    text::{Period, Size},
};

/// How updates reach the CRM, and where they wait for it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.mode == 'Synchronous' || size(self.replyMethods) == 0", "spec.delivery.replyMethods: with mode Queued Telegram has its answer before the CRM has the update; use mode Synchronous, or remove replyMethods"))]
#[x_kube(validation = ("self.mode == 'Queued' || self.answerAfter == 'Stored'", "spec.delivery.answerAfter: with mode Synchronous Telegram always gets its answer after the CRM; remove answerAfter"))]
#[x_kube(validation = ("self.mode == 'Queued' || !has(self.backend)", "spec.delivery.backend: with mode Synchronous nothing is stored; use mode Queued, or remove backend"))]
#[x_kube(validation = ("self.answerAfter == 'Stored' || !has(self.backend) || !((has(self.backend.redis) && self.backend.redis.consume == 'Queue') || (has(self.backend.rabbitMq) && self.backend.rabbitMq.consume == 'Queue'))", "spec.delivery.answerAfter: where the CRM takes updates out itself (consume Queue) the sidecar doesn't know when it has one; use Stored"))]
pub struct DeliverySpec {
    /// `Queued`: an update is stored, then Telegram gets its answer, then the CRM gets the update, until it accepts it. `Synchronous`:
    /// nothing is stored, Telegram gets its answer once the CRM has accepted the update, and repeats it otherwise. For bots that call a
    /// method in their answer, and only for them: while the CRM is down nothing is taken in, and Telegram gives up after a day.
    #[serde(default)]
    pub mode: DeliveryMode,
    /// With mode `Queued`: how far an update has come when Telegram gets its answer. `Stored`: it survives a crash. `Delivered`: the CRM
    /// has accepted it, or two seconds have passed. For several pods that each store for themselves (backend `embedded`): Telegram sends
    /// a chat's next update, to any of them, after its answer, so only then do pods keep the order among each other.
    #[serde(default)]
    pub answer_after: AnswerAfter,
    /// With mode `Synchronous`: the Bot API methods that the CRM may call in its answer, such as `sendMessage`. An answer that calls
    /// another one is not passed on. None by default: no answer is.
    #[serde(default)]
    #[schemars(extend(
        "maxItems" = MAX_REPLY_METHODS,
        "x-kubernetes-list-type" = "set",
        "items" = {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z]+$"}
    ))]
    pub reply_methods: Vec<String>,
    /// Within which the CRM must have answered, at most 35s; later counts as a failure. The default is 25s.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// Failed attempts after which an update is set aside as a dead letter, and its chat goes on. Only those count that were made while
    /// the CRM accepted others: a CRM that is down costs no update. The default is 12.
    #[serde(default = "max_attempts")]
    #[schemars(range(min = *MAX_ATTEMPTS.start(), max = *MAX_ATTEMPTS.end()))]
    pub max_attempts: u32,
    /// Most updates that the CRM in a pod gets at the same time, never two of one chat. The default is 32.
    #[serde(default = "concurrency")]
    #[schemars(range(min = *CONCURRENCY.start(), max = *CONCURRENCY.end()))]
    pub concurrency: u32,
    /// The key of a Secret in this namespace that holds what the CRM expects in `X-Telegram-Bot-Api-Secret-Token`: 1 to 256 characters
    /// A-Z, a-z, 0-9, `_` and `-`. The CRM gets no such header without it; Telegram's own stays with the sidecar. The Secret must carry
    /// the label `telegram-webhook.dev/delivery-secret: "true"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_token_secret_ref: Option<DeliverySecretRef>,
    /// The key of a Secret in this namespace that holds the key by which each delivery is signed as <https://www.standardwebhooks.com>
    /// says: `whsec_` and base64 of 24 to 64 bytes. The Secret must carry the label `telegram-webhook.dev/delivery-secret: "true"`.
    /// Without it the operator makes a key in the Secret `<name>-telegram-webhook-signing` under the key `key`, for the CRM to mount;
    /// delete that Secret to get a new one. For a day after a change every delivery carries the signatures of both keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret_ref: Option<DeliverySecretRef>,
    /// What becomes of updates that were set aside.
    #[serde(default)]
    pub dead_letter: DeadLetterSpec,
    /// With mode `Queued`: where updates wait. The default is `embedded: {}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendSpec>,
}

/// The key of a Secret in the same namespace that the CRM knows too.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DeliverySecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What becomes of updates that were set aside.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterSpec {
    /// For how long they can be looked at and replayed: whole hours, at most a year (8760h); in a RabbitMQ at most 60 days (1440h),
    /// which is how long its stream of them keeps anything. The default is 168h.
    #[serde(default = "retention")]
    pub retention: Period,
}

/// Where updates wait: exactly one of these.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("[has(self.embedded), has(self.redis), has(self.rabbitMq)].filter(given, given).size() == 1", "spec.delivery.backend: name exactly one of embedded, redis and rabbitMq, such as embedded: {}"))]
pub struct BackendSpec {
    /// In files of the sidecar, in each pod for itself: it needs nothing, and knows nothing of other pods. Duplicates and bans are known
    /// to the pod that has seen them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedSpec>,
    /// In a Redis, shared by all pods, which share duplicates and bans too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisSpec>,
    /// In a RabbitMQ, shared by all pods, which share duplicates and bans too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rabbit_mq: Option<RabbitMqSpec>,
}

/// A queue in files of the sidecar.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!isQuantity(self.size) || (quantity(self.size).compareTo(quantity('64Mi')) >= 0 && quantity(self.size).compareTo(quantity('64Gi')) <= 0)", "spec.delivery.backend.embedded.size: must be from 64Mi to 64Gi"))]
pub struct EmbeddedSpec {
    /// Most disk that updates and dead letters take in one pod, from 64Mi to 64Gi: a number and `Mi` or `Gi`. What doesn't fit is
    /// refused, and Telegram keeps it for a day. Pods that run keep what they were given; restart their workload after raising it. The
    /// default is 512Mi.
    #[serde(default = "size")]
    pub size: Size,
    /// A volume of the pod to keep the files on. Without it they are on an emptyDir, which outlives every container of the pod, and ends
    /// with the pod: at its end the sidecar hands what it has to the CRM before that is stopped, and what a node takes with it when it
    /// fails is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeSpec>,
}

/// A volume of the pod.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSpec {
    /// Name of a volume in the pod template, or of one of the `volumeClaimTemplates` of its StatefulSet. Each pod needs a claim of its
    /// own. The sidecar runs as user 65532, so the template needs `securityContext.fsGroup`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The folder in the volume; the kubelet makes it.
    #[serde(default = "sub_path")]
    #[schemars(
        length(max = 255),
        regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$")
    )]
    pub sub_path: String,
}

// === impl BackendSpec ===

impl BackendSpec {
    /// The Secrets with the broker's credentials, those of its sentinels, and what encrypts its connections.
    pub fn secret_refs(&self) -> [Option<&SecretRef>; 3] {
        let Self { embedded: _, redis, rabbit_mq } = self;
        if let Some(RedisSpec { credentials_secret_ref, sentinel, tls, .. }) = redis {
            let sentinel = sentinel.as_ref().and_then(|sentinel| sentinel.credentials_secret_ref.as_ref());
            [credentials_secret_ref.as_ref(), sentinel, tls.as_ref().and_then(|tls| tls.secret_ref.as_ref())]
        } else if let Some(RabbitMqSpec { credentials_secret_ref, tls, .. }) = rabbit_mq {
            [Some(credentials_secret_ref), None, tls.as_ref().and_then(|tls| tls.secret_ref.as_ref())]
        } else {
            [None; 3]
        }
    }
}

// === impl DeliverySpec ===

impl DeliverySpec {
    /// The queue in files, if there is to be one.
    pub fn embedded(&self) -> Option<EmbeddedSpec> {
        if self.mode == DeliveryMode::Synchronous {
            return None;
        }
        match &self.backend {
            Some(backend) => backend.embedded.clone(),
            None => Some(EmbeddedSpec::default()),
        }
    }
}

impl Default for DeliverySpec {
    fn default() -> Self {
        Self {
            mode: DeliveryMode::default(),
            answer_after: AnswerAfter::default(),
            reply_methods: Vec::new(),
            timeout: timeout(),
            max_attempts: max_attempts(),
            concurrency: concurrency(),
            secret_token_secret_ref: None,
            signing_secret_ref: None,
            dead_letter: DeadLetterSpec::default(),
            backend: None,
        }
    }
}

impl Default for DeadLetterSpec {
    fn default() -> Self {
        Self { retention: retention() }
    }
}

impl Default for EmbeddedSpec {
    fn default() -> Self {
        Self { size: size(), volume: None }
    }
}

fn timeout() -> Period {
    "25s".into()
}

fn max_attempts() -> u32 {
    12
}

fn concurrency() -> u32 {
    32
}

fn retention() -> Period {
    "168h".into()
}

fn size() -> Size {
    "512Mi".into()
}

fn sub_path() -> String {
    "telegram-webhook-sidecar".to_owned()
}
