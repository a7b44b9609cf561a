use jiff::SignedDuration;

use super::*;
use crate::{
    admission::fixture::{CONFIGURATION, SECRETS, bundle, configure},
    fixtures::{self, cluster::FakeCluster},
};

/// A cluster with the chart's configuration.
async fn cluster() -> FakeCluster {
    fixtures::install_crypto();
    let cluster = FakeCluster::start().await;
    configure(&cluster);
    cluster
}

/// A replica, and how ready it says to be.
fn replica(cluster: &FakeCluster) -> (Keeper, watch::Receiver<bool>) {
    let (ready, readiness) = watch::channel(false);
    let certificate = Arc::new(ServingCertificate::default());
    let client = cluster.client();
    let keeper = Keeper::new(&client, "operators", "admission", "injector".to_owned(), certificate, ready);
    (keeper, readiness)
}

/// The authority that the Secret holds.
fn authority(cluster: &FakeCluster) -> Authority {
    let secret = cluster.get(&format!("{SECRETS}/{SECRET}")).unwrap();
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
    let cluster = cluster().await;
    let (mut keeper, ready) = replica(&cluster);
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    assert_eq!(bundle(&cluster), authority(&cluster).bundle(start()));
    assert!(!keeper.leaf.as_ref().unwrap().is_due(&authority(&cluster), start()));
    assert!(served(&keeper).is_some());
    let expected = [format!("POST {SECRETS}"), format!("PATCH {CONFIGURATION}")];
    assert_eq!(cluster.writes(), expected);

    keeper.check(start()).await.unwrap();
    let (mut other, other_ready) = replica(&cluster);
    other.check(start()).await.unwrap();
    assert!(*other_ready.borrow());
    assert_eq!(cluster.writes(), [""; 0]);
}

#[tokio::test]
async fn a_replica_that_is_second_to_make_the_authority_takes_the_firsts() {
    let cluster = cluster().await;
    let (first, _) = replica(&cluster);
    let (second, _) = replica(&cluster);
    let theirs = first.write(None, Authority::generate(start()).unwrap()).await.unwrap();
    let ours = second.write(None, Authority::generate(start()).unwrap()).await.unwrap();
    assert_eq!(ours.to_data(), theirs.to_data());
}

#[tokio::test]
async fn a_wiped_bundle_is_back_after_one_look() {
    let cluster = cluster().await;
    let (mut keeper, ready) = replica(&cluster);
    keeper.check(start()).await.unwrap();
    let certificate = served(&keeper).unwrap();
    configure(&cluster);
    keeper.check(start()).await.unwrap();
    assert_eq!(bundle(&cluster), authority(&cluster).bundle(start()));
    assert!(*ready.borrow());
    assert!(Arc::ptr_eq(&certificate, &served(&keeper).unwrap()));
}

#[tokio::test]
async fn a_bundle_that_can_not_be_set_makes_the_replica_unready_until_it_can() {
    let cluster = cluster().await;
    let (mut keeper, ready) = replica(&cluster);
    keeper.check(start()).await.unwrap();
    configure(&cluster);
    cluster.refuse(CONFIGURATION, 403);
    assert!(matches!(keeper.check(start()).await, Err(Error::SetCaBundle(..))));
    assert!(!*ready.borrow());
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
}

#[tokio::test]
async fn without_a_configuration_a_replica_is_not_ready() {
    let cluster = cluster().await;
    let (mut keeper, ready) = replica(&cluster);
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    cluster.remove(CONFIGURATION);
    assert!(matches!(keeper.check(start()).await, Err(Error::NoConfiguration(_))));
    assert!(!*ready.borrow());
}

#[tokio::test]
async fn a_due_authority_is_renewed_and_its_leaf_served_only_a_look_later() {
    let cluster = cluster().await;
    let (mut keeper, ready) = replica(&cluster);
    let (mut other, _) = replica(&cluster);
    let rotation = start() + SignedDuration::from_hours(24 * 250);
    keeper.check(start()).await.unwrap();
    // a leaf that is not due by its own age
    keeper.check(rotation - SignedDuration::from_hours(24 * 7)).await.unwrap();
    let old = authority(&cluster);
    keeper.check(rotation).await.unwrap();
    assert_ne!(authority(&cluster).to_data(), old.to_data());
    assert_eq!(bundle(&cluster).matches("BEGIN CERTIFICATE").count(), 2);
    assert!(*ready.borrow());
    let before = served(&keeper).unwrap();

    keeper.check(rotation).await.unwrap();
    assert!(!Arc::ptr_eq(&before, &served(&keeper).unwrap()));
    assert!(!keeper.leaf.as_ref().unwrap().is_due(&authority(&cluster), rotation));
    other.check(rotation).await.unwrap();
    assert!(!other.leaf.as_ref().unwrap().is_due(&authority(&cluster), rotation));

    let week_later = rotation + SignedDuration::from_hours(24 * 7 + 1);
    keeper.check(week_later).await.unwrap();
    assert_eq!(bundle(&cluster).matches("BEGIN CERTIFICATE").count(), 1);
}

#[tokio::test]
async fn an_authority_that_can_not_be_used_is_replaced() {
    let cluster = cluster().await;
    let broken = json!({
        "metadata": {"name": SECRET},
        "data": {"ca.crt": "bm9uc2Vuc2U="},
    });
    cluster.put(&format!("{SECRETS}/{SECRET}"), &broken);
    let (mut keeper, ready) = replica(&cluster);
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    assert_eq!(bundle(&cluster), authority(&cluster).bundle(start()));
}

#[tokio::test]
async fn a_replica_whose_leaf_nobody_trusts_any_more_gets_a_new_one_at_once() {
    let cluster = cluster().await;
    let (mut keeper, ready) = replica(&cluster);
    keeper.check(start()).await.unwrap();
    cluster.remove(&format!("{SECRETS}/{SECRET}"));
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    assert!(keeper.leaf.as_ref().unwrap().is_trusted_by(&bundle(&cluster)));
}
