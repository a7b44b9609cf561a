//! What only a queue in RabbitMQ promises.

use std::time::Duration;

use anyhow::{bail, ensure};
use telegram_webhook_sidecar::queue::{
    Appended, Clock, Outcome, Queue as _, QueueError, Update, rabbitmq::RabbitMqQueue,
};
use telegram_webhook_sidecar_config::{BrokerTls, Consume, RabbitMq, Secret};
use telegram_webhook_tests::wait;
use tokio_util::sync::CancellationToken;

use super::{BOT, Brokered, Cuttable, rabbitmq, settings};
use telegram_webhook_tests::servers::rabbitmq::{NAME, Node, PASSWORD, USER, shared};

use crate::{
    bench::{Bench as _, PATIENCE, Room, deliver_this, ensure_empty, take, take_this},
    updates::{store, update, updates},
};

/// Stores an update, however often that takes.
async fn store_at_last(queue: &RabbitMqQueue, update: &Update) -> anyhow::Result<()> {
    wait::until("the queue to take an update", PATIENCE, async || {
        Ok(Some(queue.append(update.clone()).await?))
    })
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_that_somebody_made_otherwise_are_not_called_durable() -> anyhow::Result<()> {
    let address = shared().await?.address();
    let uri = format!("amqp://{USER}:{PASSWORD}@{address}/%2f");
    let connection = lapin::Connection::connect(&uri, lapin::ConnectionProperties::default()).await?;
    for (is_ours, max_updates) in [(true, 100), (true, 300), (false, 100)] {
        let name_prefix = if is_ours { "test-ours" } else { "test-theirs" };
        let rabbitmq = RabbitMq {
            addresses: vec![address.clone()],
            name_prefix: name_prefix.to_owned(),
            max_updates,
            ..rabbitmq()
        };
        if !is_ours {
            for partition in 0..rabbitmq.partitions {
                // a classic one, on one node, that drops its oldest
                let mut arguments = lapin::types::FieldTable::default();
                arguments.insert("x-max-length".into(), lapin::types::AMQPValue::LongLongInt(10));
                let name = format!("{name_prefix}.{BOT}.{partition}").into();
                let options = lapin::options::QueueDeclareOptions::durable();
                connection.create_channel().await?.queue_declare(name, options, arguments).await?;
            }
        }
        let queue = RabbitMqQueue::open(settings(&rabbitmq)?, BOT, Clock::new())?;
        store_at_last(&queue, &update(7, max_updates.try_into()?)).await?;
        assert_eq!(queue.durable(), is_ours, "{max_updates}");
        queue.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_under_load_loses_nothing_and_keeps_the_order() -> anyhow::Result<()> {
    const EACH: i64 = 60;
    let mut node = Node::start("").await?;
    let rabbitmq = RabbitMq { addresses: vec![node.address()], ..rabbitmq() };
    let queue = RabbitMqQueue::open(settings(&rabbitmq)?, BOT, Clock::new())?;
    let half_stored = CancellationToken::new();
    let produce = async {
        for id in 0..EACH {
            for chat in 0..3 {
                store_at_last(&queue, &update(chat, 3 * id + chat)).await?;
            }
            if id == EACH / 2 {
                half_stored.cancel();
            }
        }
        anyhow::Ok(())
    };
    let consume = async {
        let mut given_out = vec![Vec::new(); 3];
        while given_out.iter().any(|ids: &Vec<_>| i64::try_from(ids.len()).unwrap_or(0) < EACH) {
            let lease = take(&queue).await?;
            let (chat, id) = (usize::try_from(lease.update.lane.id)?, lease.update.update_id);
            // what was in hand when the node was killed may come again, as long as nothing else of its lane came
            if given_out[chat].last() != Some(&id) {
                given_out[chat].push(id);
            }
            queue.settle(lease, Outcome::Done).await?;
        }
        anyhow::Ok(given_out)
    };
    let kill = async {
        half_stored.cancelled().await;
        node.kill();
        node.start_again().await
    };
    let (produced, given_out, killed) = tokio::join!(produce, consume, kill);
    produced.and(killed)?;
    for (chat, given_out) in (0..).zip(given_out?) {
        let expected: Vec<_> = (0..EACH).map(|id| Some(3 * id + chat)).collect();
        assert_eq!(given_out, expected, "chat {chat}");
    }
    queue.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_hand_for_longer_than_the_broker_allows_is_not_given_out_twice() -> anyhow::Result<()> {
    let node = Node::start("{consumer_timeout, 1000}, {channel_tick_interval, 500}").await?;
    let bench = Brokered::new(rabbitmq(), node.port)?;
    let Cuttable { queue, proxy: _proxy } = bench.open().await?;
    let updates = updates(7, 3);
    store(&queue, &updates).await?;
    let in_hand = take_this(&queue, &updates[0]).await?;
    // its channel is closed again and again meanwhile, and other lanes go on
    for round in 0..2 {
        let other = update(8, round);
        store_at_last(&queue, &other).await?;
        let lease = take_this(&queue, &other).await?;
        tokio::time::timeout(Duration::from_secs(3), queue.next()).await.map_or(Ok(()), |given| {
            bail!("given out while the first of its lane is in hand: {:?}", given?.update.update_id)
        })?;
        queue.settle(lease, Outcome::Done).await?;
    }
    queue.settle(in_hand, Outcome::Done).await?;
    for update in &updates[1..] {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_reset_is_made_again() -> anyhow::Result<()> {
    let bench = Brokered::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 4);
    store(&queue, &updates[..2]).await?;
    let in_hand = take_this(&queue, &updates[0]).await?;
    bench.is_reachable.send_replace(false);
    bench.is_reachable.send_replace(true);
    store_at_last(&queue.queue, &updates[2]).await?;
    store_at_last(&queue.queue, &updates[3]).await?;
    // nobody else had it meanwhile: it is settled after all, and doesn't come again
    queue.settle(in_hand, Outcome::Done).await?;
    for update in &updates[1..] {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_settled_is_known_to_who_takes_over_though_it_was_not_acknowledged() -> anyhow::Result<()> {
    let bench = Brokered::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 2);
    store(&queue, &updates).await?;
    let lease = take_this(&queue, &updates[0]).await?;
    bench.is_reachable.send_replace(false);
    // on another way, which stays open
    let way = Brokered::new(bench.rabbitmq.clone(), bench.port)?;
    let other = way.open_with(&bench.rabbitmq).await?;
    // the other one has it in hand as well, and that can't be helped
    let again = take_this(&other, &updates[0]).await?;
    bench.is_reachable.send_replace(true);
    assert!(again.holds());
    queue.settle(lease, Outcome::Done).await?;
    wait::until("what is settled to be lost", PATIENCE, async || Ok((!again.holds()).then_some(()))).await?;
    drop(again);
    // but once one of them has settled it, it doesn't come a third time
    wait::until("what is settled to be read", PATIENCE, async || {
        let lease = take(&other).await?;
        Ok((lease.update == updates[1]).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_is_told_so_and_shows_no_password() -> anyhow::Result<()> {
    let node = shared().await?;
    let wrong = RabbitMq { password: Secret("open sesame".to_owned()), ..rabbitmq() };
    let elsewhere = RabbitMq { virtual_host: "elsewhere".to_owned(), ..rabbitmq() };
    for rabbitmq in [elsewhere, wrong] {
        let bench = Brokered::new(rabbitmq, node.port)?;
        let queue = bench.open().await?;
        let refused = queue.append(update(7, 1)).await;
        let Err(QueueError::Broken(text)) = refused else { bail!("{refused:?}") };
        ensure!(!text.contains("sesame") && !text.contains("hush"), "{text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_can_be_encrypted_and_both_sides_certified() -> anyhow::Result<()> {
    let node = shared().await?;
    let tls = BrokerTls {
        ca: Some(node.authority.pem().to_owned()),
        server_name: Some(NAME.to_owned()),
        client_certificate: Some(node.client.clone()),
    };
    let encrypted = RabbitMq { tls: Some(tls.clone()), ..rabbitmq() };
    let bench = Brokered::new(encrypted.clone(), node.tls_port)?;
    let queue = bench.open().await?;
    let update = update(7, 1);
    store(&queue, std::slice::from_ref(&update)).await?;
    deliver_this(&queue, &update).await?;
    let another = telegram_webhook_tests::pki::Authority::new()?.pem().to_owned();
    let wrong = [
        BrokerTls { server_name: Some("another.test".to_owned()), ..tls.clone() },
        BrokerTls { ca: Some(another), ..tls },
    ];
    for tls in wrong {
        let queue = bench.open_with(&RabbitMq { tls: Some(tls), ..bench.rabbitmq.clone() }).await?;
        let refused = queue.append(update.clone()).await;
        ensure!(matches!(refused, Err(QueueError::Broken(_))), "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_number_of_partitions_is_refused_as_long_as_there_are_queues() -> anyhow::Result<()> {
    let bench = Brokered::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    store(&queue, &[update(7, 1)]).await?;
    for partitions in [1, 3] {
        let queue = bench.open_with(&RabbitMq { partitions, ..bench.rabbitmq.clone() }).await?;
        let refused = queue.append(update(7, 2)).await;
        ensure!(matches!(refused, Err(QueueError::Broken(_))), "{partitions}: {refused:?}");
    }
    // while another capacity is no reason to stop
    let queue = bench.open_with(&RabbitMq { max_updates: 5, ..bench.rabbitmq.clone() }).await?;
    assert_eq!(queue.append(update(7, 2)).await, Ok(Appended::Stored));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_crm_consumes_itself_is_stored_and_not_given_out() -> anyhow::Result<()> {
    let bench = Brokered::start(Room::Plenty).await?;
    let stored = updates(7, 3);
    let consumed = RabbitMq { consume: Consume::Queue, ..bench.rabbitmq.clone() };
    let queue = bench.open_with(&consumed).await?;
    store(&queue, &stored).await?;
    assert_eq!(queue.depth().await?.updates, 3);
    // whoever asks waits for ever; a CRM, for which another sidecar stands here, gets them in order
    let crm = bench.open().await?;
    for update in &stored {
        tokio::select! {
            lease = queue.next() => bail!("given out: {:?}", lease?.update.update_id),
            delivered = deliver_this(&crm, update) => delivered?,
        }
    }
    ensure_empty(&queue).await
}
