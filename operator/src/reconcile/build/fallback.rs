//! The Deployment of the fallback. The sidecar isn't in its template: the injector puts it into each pod.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Capabilities, Container, LocalObjectReference, PodReadinessGate, PodSecurityContext, PodSpec,
            PodTemplateSpec, ResourceRequirements, SeccompProfile, SecurityContext, TopologySpreadConstraint,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::api::ObjectMeta;
use telegram_webhook_crds::{FALLBACK_GATE, FALLBACK_LABEL, SIDECAR_CONTAINER, fallback_name};
use telegram_webhook_sidecar_config::digest;

use super::metadata;
use crate::{
    admission::DEFAULT_CONTAINER_ANNOTATION, fallback::pod_labels, reconcile::validate::ValidatedWebhook,
};

/// The container that a pod must have beside the sidecar.
const STAND_BY: &str = "stand-by";
/// Names the specification that was built: what isn't in it any more would not be missed by a look at what is.
const BUILT_ANNOTATION: &str = "telegram-webhook.dev/built";
/// The certificates' Secrets that the pods mount.
const CERTIFICATES_ANNOTATION: &str = "telegram-webhook.dev/certificates";
/// The image's user.
const USER: i64 = 65532;
/// What the sidecar needs to drain and to finish what it has begun.
const GRACE_PERIOD_SECONDS: i64 = 30;

/// The Deployment, if there is to be a fallback.
pub fn fallback(webhook: &ValidatedWebhook) -> Option<Deployment> {
    let fallback = webhook.fallback.as_ref()?;
    let own = BTreeMap::from([(FALLBACK_LABEL.to_owned(), webhook.name.clone())]);
    let certificates: Vec<_> =
        fallback.certificates.iter().map(|(name, secret)| format!("{name}={secret}")).collect();
    let annotations = BTreeMap::from([
        (DEFAULT_CONTAINER_ANNOTATION.to_owned(), SIDECAR_CONTAINER.to_owned()),
        (CERTIFICATES_ANNOTATION.to_owned(), certificates.join(",")),
    ]);
    let spec = DeploymentSpec {
        replicas: Some(fallback.replicas),
        // its pods are not ready most of the time, which is no failure; the largest number means for ever
        progress_deadline_seconds: Some(i32::MAX),
        revision_history_limit: Some(1),
        selector: LabelSelector { match_labels: Some(own.clone()), ..LabelSelector::default() },
        strategy: Some(DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            // those that are not ready are never waited for
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(1)),
                max_unavailable: Some(IntOrString::String("100%".to_owned())),
            }),
        }),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(pod_labels(&webhook.name, &webhook.selector)),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            }),
            spec: Some(pod(&fallback.image, &fallback.image_pull_secrets, own)),
        },
        ..DeploymentSpec::default()
    };
    // serialising plain structs to memory has no way to fail
    let built = digest(&serde_json::to_vec(&spec).unwrap_or_default());
    let mut metadata = metadata(webhook, fallback_name(&webhook.name));
    metadata.annotations = Some(BTreeMap::from([(BUILT_ANNOTATION.to_owned(), built)]));
    Some(Deployment { metadata, spec: Some(spec), ..Deployment::default() })
}

fn pod(image: &str, pull_secrets: &[String], own: BTreeMap<String, String>) -> PodSpec {
    let pull_secrets = pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    PodSpec {
        readiness_gates: Some(vec![PodReadinessGate { condition_type: FALLBACK_GATE.to_owned() }]),
        containers: vec![stand_by(image)],
        image_pull_secrets: Some(pull_secrets.collect::<Vec<_>>()).filter(|secrets| !secrets.is_empty()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_PERIOD_SECONDS),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            seccomp_profile: Some(runtime_default()),
            ..PodSecurityContext::default()
        }),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            topology_key: "kubernetes.io/hostname".to_owned(),
            max_skew: 1,
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(LabelSelector { match_labels: Some(own), ..LabelSelector::default() }),
            ..TopologySpreadConstraint::default()
        }]),
        ..PodSpec::default()
    }
}

fn stand_by(image: &str) -> Container {
    let quantity = |text: &str| Quantity(text.to_owned());
    Container {
        name: STAND_BY.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(vec!["stand-by".to_owned()]),
        resources: Some(ResourceRequirements {
            requests: Some(BTreeMap::from([
                ("cpu".to_owned(), quantity("1m")),
                ("memory".to_owned(), quantity("8Mi")),
            ])),
            limits: Some(BTreeMap::from([("memory".to_owned(), quantity("32Mi"))])),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            seccomp_profile: Some(runtime_default()),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }
}
