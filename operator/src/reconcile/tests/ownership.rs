//! Who has a bot.

use super::*;

#[tokio::test]
async fn the_younger_of_two_resources_for_one_bot_never_speaks_to_telegram() {
    let mut world = World::new().await;
    world.add_pod();
    world.others = vec![fixtures::webhook_with(&[
        ("name: support\n", "name: first\n"),
        ("000000000001", "000000000002"),
        ("2026-01-01", "2025-01-01"),
    ])];
    world.restart();
    world.pass().await.unwrap();
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Stalled"), condition("True", "DuplicateBot"));
    assert!(world.cluster.public_text().contains("TelegramWebhook first"));
    assert!(world.telegram.calls().is_empty());
}

#[tokio::test]
async fn a_resource_whose_token_was_never_accepted_does_not_take_a_bot_away() {
    let mut world = World::new().await;
    let squatter = fixtures::webhook_with(&[
        ("namespace: crm\n", "namespace: evil\n"),
        ("000000000001", "000000000002"),
        ("2026-01-01", "2025-01-01"),
    ]);
    let guess = fixtures::TOKEN.replace("ABC", "XYZ");
    world.cluster.put("/api/v1/namespaces/evil/secrets/support-bot", &fixtures::token_secret(&guess));
    world.others = vec![squatter];
    world.restart();
    world.register().await;
    // nor later, when its token has been rejected
    let uid = "00000000-0000-0000-0000-000000000002";
    world.context.memory.update(uid, |memory| memory.rejected = Some(([0; 32], Instant::now())));
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn a_resource_that_is_registered_has_its_bot_whatever_its_token_is_now() {
    let mut world = World::new().await;
    world.register().await;
    let mut first = world.webhook();
    first.metadata.name = Some("first".into());
    first.metadata.uid = Some("00000000-0000-0000-0000-000000000002".into());
    first.metadata.creation_timestamp = first.creation_timestamp().map(|mut time| {
        time.0 -= Duration::from_hours(1);
        time
    });
    first.spec.bot.token_secret_ref.name = "renewed".into();
    world.others = vec![first];
    world.restart();
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Stalled"), condition("True", "DuplicateBot"));
}
