use jiff::SignedDuration;

use super::*;
use crate::admission::fake_cluster::{CONFIGURATION, Cluster, SECRETS};

/// A replica, and how ready it says to be.
async fn replica(cluster: &Arc<Cluster>) -> (Keeper, watch::Receiver<bool>) {
    let (ready, readiness) = watch::channel(false);
    let certificate = Arc::new(ServingCertificate::default());
    let client = cluster.client().await;
    let keeper = Keeper::new(&client, "operators", "admission", "injector".to_owned(), certificate, ready);
    (keeper, readiness)
}

/// The authority that the Secret holds.
fn authority(cluster: &Cluster) -> Authority {
    let secret = cluster.objects.lock().unwrap()[&format!("{SECRETS}/{SECRET}")].clone();
    let secret: Secret = serde_json::from_value(secret).unwrap();
    Authority::from_data(&secret.data.unwrap()).unwrap()
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn served(keeper: &Keeper) -> Option<Arc<CertifiedKey>> {
    keeper.certificate.0.read().unwrap().clone()
}

#[tokio::test]
async fn the_first_look_sets_everything_up_and_the_second_changes_nothing() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    assert_eq!(cluster.bundle(), authority(&cluster).bundle(start()));
    assert!(!keeper.leaf.as_ref().unwrap().is_due(&authority(&cluster), start()));
    assert!(served(&keeper).is_some());
    let expected = [format!("POST {SECRETS}/{SECRET}"), format!("PATCH {CONFIGURATION}")];
    assert_eq!(cluster.take_writes(), expected);

    keeper.check(start()).await.unwrap();
    let (mut other, other_ready) = replica(&cluster).await;
    other.check(start()).await.unwrap();
    assert!(*other_ready.borrow());
    assert_eq!(cluster.take_writes(), [""; 0]);
}

#[tokio::test]
async fn a_replica_that_is_second_to_make_the_authority_takes_the_firsts() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (first, _) = replica(&cluster).await;
    let (second, _) = replica(&cluster).await;
    let theirs = first.write(None, Authority::generate(start()).unwrap()).await.unwrap();
    let ours = second.write(None, Authority::generate(start()).unwrap()).await.unwrap();
    assert_eq!(ours.to_data(), theirs.to_data());
}

#[tokio::test]
async fn a_wiped_bundle_is_back_after_one_look() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    let certificate = served(&keeper).unwrap();
    cluster.configure();
    keeper.check(start()).await.unwrap();
    assert_eq!(cluster.bundle(), authority(&cluster).bundle(start()));
    assert!(*ready.borrow());
    assert!(Arc::ptr_eq(&certificate, &served(&keeper).unwrap()));
}

#[tokio::test]
async fn a_bundle_that_can_not_be_set_makes_the_replica_unready_until_it_can() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    cluster.configure();
    cluster.refused.lock().unwrap().insert(CONFIGURATION.to_owned(), 403);
    assert!(matches!(keeper.check(start()).await, Err(Error::SetCaBundle(..))));
    assert!(!*ready.borrow());
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
}

#[tokio::test]
async fn without_a_configuration_a_replica_is_not_ready() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    cluster.objects.lock().unwrap().remove(CONFIGURATION);
    assert!(matches!(keeper.check(start()).await, Err(Error::NoConfiguration(_))));
    assert!(!*ready.borrow());
}

#[tokio::test]
async fn a_due_authority_is_renewed_and_its_leaf_served_only_a_look_later() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    let (mut other, _) = replica(&cluster).await;
    let rotation = start() + SignedDuration::from_hours(24 * 250);
    keeper.check(start()).await.unwrap();
    // a leaf that is not due by its own age
    keeper.check(rotation - SignedDuration::from_hours(24 * 7)).await.unwrap();
    let old = authority(&cluster);
    keeper.check(rotation).await.unwrap();
    assert_ne!(authority(&cluster).to_data(), old.to_data());
    assert_eq!(cluster.bundle().matches("BEGIN CERTIFICATE").count(), 2);
    assert!(*ready.borrow());
    let before = served(&keeper).unwrap();

    keeper.check(rotation).await.unwrap();
    assert!(!Arc::ptr_eq(&before, &served(&keeper).unwrap()));
    assert!(!keeper.leaf.as_ref().unwrap().is_due(&authority(&cluster), rotation));
    other.check(rotation).await.unwrap();
    assert!(!other.leaf.as_ref().unwrap().is_due(&authority(&cluster), rotation));

    let week_later = rotation + SignedDuration::from_hours(24 * 7 + 1);
    keeper.check(week_later).await.unwrap();
    assert_eq!(cluster.bundle().matches("BEGIN CERTIFICATE").count(), 1);
}

#[tokio::test]
async fn an_authority_that_can_not_be_used_is_replaced() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let broken = json!({
        "metadata": {"name": SECRET, "resourceVersion": "7"},
        "data": {"ca.crt": "bm9uc2Vuc2U="},
    });
    cluster.objects.lock().unwrap().insert(format!("{SECRETS}/{SECRET}"), broken);
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    assert_eq!(cluster.bundle(), authority(&cluster).bundle(start()));
}

#[tokio::test]
async fn a_replica_whose_leaf_nobody_trusts_any_more_gets_a_new_one_at_once() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    cluster.objects.lock().unwrap().remove(&format!("{SECRETS}/{SECRET}"));
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    assert!(keeper.leaf.as_ref().unwrap().is_trusted_by(&cluster.bundle()));
}
