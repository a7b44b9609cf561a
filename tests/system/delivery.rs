//! Updates go from Telegram through the injected sidecar to the CRM; nothing else does.

use http::Method;
use telegram_webhook_crds::SIDECAR_CONTAINER;
use telegram_webhook_tests::{
    crm::SECRET_HEADER,
    forgery::{self, Refusal},
    ledger::Ledger,
    scenario::{PATIENCE, WEBHOOK},
    wait,
};

use crate::world::scenario;

#[test]
fn updates_reach_the_crm_once_and_in_order_and_forgeries_do_not() {
    scenario("delivery", |scenario| async move {
        scenario.start_crm_and_webhook().await?;
        let pods = scenario.crm_pods().await?;
        let sidecar = pods[0].spec.as_ref().unwrap().init_containers.as_ref().unwrap()[0].clone();
        assert_eq!(
            (sidecar.name.as_str(), sidecar.restart_policy.as_deref()),
            (SIDECAR_CONTAINER, Some("Always"))
        );

        let sent = scenario.send(300, 30).await?;
        let refusals =
            forgery::try_all(&mut scenario.connect(WEBHOOK).await?, &scenario.slot(WEBHOOK).await?).await?;
        assert!(refusals.iter().all(Refusal::is_right), "{refusals:#?}");
        let ledger = scenario.deliver(&sent).await?;
        assert!(ledger.is_clean(), "{ledger:?}");
        assert!(scenario.received().await?.iter().all(|received| !received.secret_header));
        Ok(scenario)
    });
}

/// An update that nobody sent, such as Telegram would send.
fn update(id: i64) -> String {
    format!(
        r#"{{"update_id":{id},"message":{{"message_id":1,"chat":{{"id":5,"type":"private"}},"date":1,"text":"hi"}}}}"#
    )
}

#[test]
fn while_the_crm_is_down_the_sidecar_keeps_the_updates_and_delivers_them_in_order_later() {
    scenario("outage", |scenario| async move {
        scenario.start_crm_and_webhook().await?;
        scenario.crm_answers(500).await?;
        let sent = scenario.send(20, 4).await?;
        wait::until("all of them taken from Telegram", PATIENCE, || async {
            let statuses = scenario.telegram().summary().await?.statuses;
            Ok((statuses.get("200").is_some_and(|count| *count >= 20)).then_some(()))
        })
        .await?;
        assert_eq!(Ledger::new(&sent, &scenario.received().await?).delivered, 0);
        scenario.wait_for_condition(WEBHOOK, "DeliveryHealthy", "False", Some("CrmNotTaking")).await?;
        scenario.crm_answers(200).await?;
        let ledger = scenario.deliver(&sent).await?;
        assert!(ledger.is_clean(), "{ledger:?}");
        scenario.wait_for_condition(WEBHOOK, "DeliveryHealthy", "True", None).await?;
        Ok(scenario)
    });
}

#[test]
fn a_renewed_certificate_is_served_without_a_dropped_connection() {
    scenario("renewal", |scenario| async move {
        scenario.start_crm_and_webhook().await?;
        let slot = scenario.slot(WEBHOOK).await?;
        let headers = [(SECRET_HEADER, slot.secret_token.as_str())];
        let mut open = scenario.connect(WEBHOOK).await?;
        let old = open.certificate.clone();
        assert_eq!(open.send(Method::POST, &slot.path, &headers, &update(1)).await?.status().as_u16(), 200);

        let renewed = scenario.authority.issue(&scenario.host(WEBHOOK))?;
        scenario.put_certificate("hooks-tls", &renewed).await?;
        wait::until("the renewed certificate", PATIENCE, || async {
            Ok((scenario.connect(WEBHOOK).await?.certificate != old).then_some(()))
        })
        .await?;
        // the connection from before still serves
        assert_eq!(open.send(Method::POST, &slot.path, &headers, &update(2)).await?.status().as_u16(), 200);
        let sent = scenario.send(20, 5).await?;
        let received = scenario.deliver(&sent).await?;
        assert_eq!((received.lost, received.out_of_order), (0, 0), "{received:?}");
        let pod = scenario.crm_pods().await?.remove(0);
        let restarts = pod.status.unwrap().init_container_statuses.unwrap()[0].restart_count;
        assert_eq!(restarts, 0, "the sidecar was restarted");
        Ok(scenario)
    });
}
