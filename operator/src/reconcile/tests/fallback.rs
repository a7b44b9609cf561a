//! The fallback: its Deployment comes and goes with the field, and it takes over without being taken for the CRM.

use super::*;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/crm/deployments/support-telegram-webhook-fallback";
const FALLBACK_POD: &str = "/api/v1/namespaces/crm/pods/fallback-0";

async fn declared() -> World {
    World::with(&[("  workload:", fixtures::FALLBACK)]).await
}

/// A user takes the fallback out of the resource.
fn take_back(world: &World) {
    let mut webhook = world.webhook();
    webhook.spec.fallback = None;
    world.cluster.put(WEBHOOK, &webhook);
}

#[tokio::test]
async fn the_deployment_is_made_once_repaired_and_removed_with_the_field() {
    let world = declared().await;
    world.register().await;
    assert!(world.cluster.get(DEPLOYMENT).is_some());
    world.cluster.writes();
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());

    let mut scaled = world.cluster.get(DEPLOYMENT).unwrap();
    scaled["spec"]["replicas"] = json!(0);
    world.cluster.put(DEPLOYMENT, &scaled);
    world.pass().await.unwrap();
    assert_eq!(world.cluster.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 1);
    assert_eq!(world.cluster.writes(), [format!("PATCH {DEPLOYMENT}")]);

    take_back(&world);
    world.pass().await.unwrap();
    assert!(world.cluster.get(DEPLOYMENT).is_none());
    assert_eq!(world.condition("FallbackReady"), condition("", ""));
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn a_deployment_of_somebody_else_is_neither_taken_nor_removed() {
    let world = declared().await;
    world.register().await;
    let mut strangers = world.cluster.get(DEPLOYMENT).unwrap();
    strangers["metadata"]["ownerReferences"] = json!([]);
    world.cluster.put(DEPLOYMENT, &strangers);
    assert!(world.pass().await.is_err());
    assert_eq!(world.condition("Ready"), condition("False", "ChildNotOurs"));
    take_back(&world);
    world.pass().await.unwrap();
    assert!(world.cluster.get(DEPLOYMENT).is_some());
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn it_takes_over_from_the_crm_and_is_not_counted_as_one_of_its_pods() {
    let world = declared().await;
    world.register().await;
    assert_eq!(world.condition("FallbackReady"), condition("False", "FallbackNotReady"));
    let mut pod = fixtures::fallback_pod("support");
    world.cluster.put(FALLBACK_POD, &pod);
    world.pass().await.unwrap();
    assert_eq!(world.condition("FallbackReady"), condition("True", "FallbackStandsBy"));
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));

    world.cluster.remove(POD);
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    world.cluster.put(FALLBACK_POD, &pod);
    world.cluster.writes();
    for events in [2, 0] {
        world.pass().await.unwrap();
        // one that there are no pods, and one that the fallback has taken over
        let written = world.cluster.writes();
        assert_eq!(written.iter().filter(|write| write.contains("/events")).count(), events, "{written:?}");
    }
    assert_eq!(world.condition("SidecarsReady"), condition("False", "NoPodsSelected"));
    assert_eq!(world.condition("FallbackReady"), condition("True", "FallbackReceives"));
    assert_eq!(world.condition("SecretsDelivered"), condition("True", "SecretsLoaded"));
    let pods = world.webhook().status.unwrap().pods.unwrap();
    assert_eq!((pods.selected, pods.acknowledged, pods.fallback), (0, 0, Some(1)));

    // somebody takes the webhook away meanwhile
    world.telegram.state().info = crate::telegram::WebhookInfo::default();
    world.pass().await.unwrap();
    assert_eq!(world.stored().accepted.unwrap().parameters.url, world.telegram.url());
}

#[tokio::test]
async fn new_pods_are_made_when_a_neighbours_certificate_is_in_another_secret() {
    let mut world = declared().await;
    let neighbour = |secret: &str| {
        fixtures::webhook_with(&[
            ("name: support\n", "name: sales\n"),
            ("name: hooks-tls", &format!("name: {secret}")),
        ])
    };
    let annotation = |world: &World| {
        let template = world.cluster.get(DEPLOYMENT).unwrap()["spec"]["template"].clone();
        template["metadata"]["annotations"]["telegram-webhook.dev/certificates"].clone()
    };
    world.register().await;
    assert_eq!(annotation(&world), "support=hooks-tls");
    for (secret, annotated) in
        [("first", "sales=first,support=hooks-tls"), ("second", "sales=second,support=hooks-tls")]
    {
        let mut other = neighbour(secret);
        // the younger of the two
        other.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::now()));
        world.others = vec![other];
        world.restart();
        world.pass().await.unwrap();
        assert_eq!(annotation(&world), annotated);
    }
}

#[tokio::test]
async fn without_a_queue_that_it_shares_it_is_refused_with_the_fix() {
    let world = World::with(&[("  workload:", "  fallback: {}\n  workload:")]).await;
    world.pass().await.unwrap();
    assert!(world.pass().await.is_err());
    assert_eq!(world.condition("Ready"), condition("False", "FallbackInvalid"));
    let status = world.webhook().status.unwrap();
    let message = &status.conditions[0].message;
    assert!(message.starts_with("spec.fallback: ") && message.contains("backend.redis"), "{message}");
    assert!(world.cluster.get(DEPLOYMENT).is_none());
}
