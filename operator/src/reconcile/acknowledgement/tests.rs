use telegram_webhook_sidecar_config::LoadedWebhook;

use super::*;

fn expected() -> Expected {
    Expected {
        digest: "new".into(),
        superseded: None,
        certificate: Some("certificate".into()),
        secrets: ["child".into(), "tls".into()],
        place: None,
    }
}

fn loaded(digest: &str, certificate: &str) -> LoadedWebhook {
    LoadedWebhook {
        webhook: "crm/support".into(),
        digest: digest.into(),
        slots: vec![1],
        certificate_digest: certificate.into(),
        source_visible: None,
        delivery: None,
    }
}

fn pod(ready: bool, sidecar: bool, digest: Option<&str>) -> PodSeen {
    let loaded = digest.map(|digest| loaded(digest, "certificate"));
    let sidecar = sidecar.then(|| Sidecar { secrets: expected().secrets.into(), place: None, loaded });
    PodSeen { ready, sidecar, ..PodSeen::default() }
}

/// One of the fallback.
fn fallback(ready: bool, digest: Option<&str>) -> PodSeen {
    PodSeen { of_fallback: true, ..pod(ready, true, digest) }
}

/// A ready pod whose sidecar reads these Secrets.
fn pod_reading(secrets: &[&str], loaded: Option<LoadedWebhook>) -> PodSeen {
    let secrets = secrets.iter().map(|name| (*name).to_owned()).collect();
    let sidecar = Some(Sidecar { secrets, place: None, loaded });
    PodSeen { ready: true, sidecar, ..PodSeen::default() }
}

fn reasons(pods: &[PodSeen]) -> (Acknowledgement, Vec<(ConditionType, Reason)>) {
    let mut report = Report::default();
    let acknowledgement = assess(pods, &expected(), &mut report);
    (acknowledgement, report.findings.iter().map(|f| (f.type_, f.reason)).collect())
}

#[test]
fn a_selector_that_matches_nothing_is_named() {
    let mut report = Report::default();
    let acknowledgement = assess(&[], &expected(), &mut report);
    assert_eq!(acknowledgement, Acknowledgement::Missing(Reason::NoPodsSelected));
    let message = &report.findings[0].message;
    assert!(message.starts_with("spec.workload.selector:"), "{message}");
}

#[test]
fn one_ready_sidecar_with_the_secrets_suffices() {
    let (acknowledgement, reasons) = reasons(&[pod(true, true, Some("new")), pod(false, true, None)]);
    assert_eq!(acknowledgement, Acknowledgement::Complete);
    assert_eq!(
        reasons,
        [
            (ConditionType::SidecarsReady, Reason::PodsReady),
            (ConditionType::SecretsDelivered, Reason::SecretsLoaded)
        ]
    );
}

#[test]
fn a_ready_sidecar_with_old_secrets_is_waited_for() {
    let (acknowledgement, _) = reasons(&[pod(true, true, Some("new")), pod(true, true, Some("old"))]);
    assert_eq!(acknowledgement, Acknowledgement::Missing(Reason::SecretsNotLoaded));
}

#[test]
fn a_pod_without_the_sidecar_is_named_but_does_not_hold_up_the_others() {
    let (acknowledgement, reasons) = reasons(&[pod(true, true, Some("new")), pod(true, false, None)]);
    assert_eq!(acknowledgement, Acknowledgement::Complete);
    assert_eq!(reasons[0], (ConditionType::SidecarsReady, Reason::SidecarMissing));
}

#[test]
fn loaded_but_not_ready_is_not_enough() {
    let (acknowledgement, _) = reasons(&[pod(false, true, Some("new"))]);
    assert_eq!(acknowledgement, Acknowledgement::Missing(Reason::PodsNotReady));
}

#[test]
fn a_sidecar_from_before_the_resource_can_only_be_restarted() {
    let (acknowledgement, reasons) =
        reasons(&[pod(true, true, Some("new")), pod_reading(&["other", "tls"], None)]);
    // the Service leads to it too, so Telegram must wait
    assert_eq!(acknowledgement, Acknowledgement::Missing(Reason::SidecarOutdated));
    assert_eq!(reasons[0], (ConditionType::SidecarsReady, Reason::SidecarOutdated));
}

#[test]
fn a_sidecar_with_another_certificates_secret_keeps_what_telegram_has_and_gets_nothing_new() {
    let old = pod_reading(&["child", "old-tls"], Some(loaded("new", "old")));
    let (acknowledgement, reasons) = reasons(&[pod(true, true, Some("new")), old]);
    assert_eq!(acknowledgement, Acknowledgement::OtherCertificate);
    assert_eq!(reasons[0], (ConditionType::SidecarsReady, Reason::SidecarOutdated));
    assert_eq!(reasons[1], (ConditionType::SecretsDelivered, Reason::SecretsLoaded));
}

#[test]
fn a_renewed_certificate_is_waited_for_and_makes_nothing_unready() {
    let renewing = pod_reading(&["child", "tls"], Some(loaded("new", "old")));
    let (acknowledgement, reasons) = reasons(&[renewing]);
    assert_eq!(acknowledgement, Acknowledgement::OtherCertificate);
    assert_eq!(
        reasons,
        [
            (ConditionType::SidecarsReady, Reason::PodsReady),
            (ConditionType::SecretsDelivered, Reason::SecretsLoaded)
        ]
    );
}

#[test]
fn a_fallback_is_none_of_the_crms_pods() {
    let mut report = Report::default();
    let pods = [fallback(true, Some("new")), fallback(false, Some("new"))];
    let acknowledgement = assess(&pods, &expected(), &mut report);
    // it receives all the same: Telegram may be told, or told again
    assert_eq!(acknowledgement, Acknowledgement::Complete);
    assert_eq!(report.findings[0].reason, Reason::NoPodsSelected);
    assert_eq!(report.findings[1].reason, Reason::SecretsLoaded);
    let counted = report.pods.unwrap();
    assert_eq!((counted.selected, counted.acknowledged), (0, 0));
}

#[test]
fn a_fallback_that_does_not_run_or_is_not_ready_is_not_waited_for() {
    for standing_by in [fallback(false, None), fallback(false, Some("new"))] {
        let (acknowledgement, _) = reasons(&[pod(true, true, Some("new")), standing_by]);
        assert_eq!(acknowledgement, Acknowledgement::Complete);
    }
}

#[test]
fn a_fallback_that_would_take_over_without_the_secrets_is_waited_for() {
    let missing = Acknowledgement::Missing(Reason::SecretsNotLoaded);
    assert_eq!(reasons(&[pod(true, true, Some("new")), fallback(false, Some("old"))]).0, missing);
    assert_eq!(
        reasons(&[pod(false, true, Some("new")), fallback(true, Some("old"))]).0,
        Acknowledgement::Missing(Reason::PodsNotReady)
    );
    assert_eq!(reasons(&[pod(true, true, Some("new")), fallback(true, None)]).0, missing);
}
