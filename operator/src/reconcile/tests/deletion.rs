//! What becomes of the webhook of a deleted resource.

use super::*;

#[tokio::test]
async fn a_deleted_resource_takes_its_webhook_along_if_asked() {
    let world = World::with(&[("spec:", "spec:\n  deletionPolicy: Delete")]).await;
    world.register().await;
    world.delete();
    world.pass().await.unwrap();
    assert_eq!(world.telegram.url(), "");
    assert!(world.finalizers().is_empty());
    assert!(world.cluster.public_text().contains("WebhookDeleted"));
}

#[tokio::test]
async fn a_deletion_in_the_foreground_takes_the_secret_first_and_the_webhook_still_goes() {
    let world = World::with(&[("spec:", "spec:\n  deletionPolicy: Delete")]).await;
    world.register().await;
    world.cluster.remove(CHILD_SECRET);
    world.delete();
    world.pass().await.unwrap();
    assert_eq!(world.telegram.url(), "");
    assert!(world.cluster.public_text().contains("WebhookDeleted"));
}

#[tokio::test]
async fn a_deleted_resource_leaves_its_webhook_by_default() {
    let world = World::new().await;
    world.register().await;
    let url = world.telegram.url();
    world.delete();
    world.pass().await.unwrap();
    assert_eq!(world.telegram.url(), url);
    assert!(world.finalizers().is_empty());
}

#[tokio::test]
async fn a_deletion_does_not_wait_for_a_token_that_is_gone() {
    let world = World::with(&[("spec:", "spec:\n  deletionPolicy: Delete")]).await;
    world.register().await;
    world.cluster.remove(TOKEN_SECRET);
    world.delete();
    world.pass().await.unwrap();
    assert!(world.finalizers().is_empty());
    assert!(world.cluster.public_text().contains("WebhookLeft"));
}
