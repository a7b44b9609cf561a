//! Pure: do the sidecars see Telegram's own address? If something in front hides it, a rule about addresses refuses everything,
//! and only the sidecars can tell: by requests that carry the right path and token and come from elsewhere.

use telegram_webhook_crds::ConditionType;
use telegram_webhook_sidecar_config::{AddressMode, SourceVisible};

use super::{
    acknowledgement::Expected,
    dereference::PodSeen,
    status::{Reason, Report},
};

const HOP: &str = "spec.endpoint.clientAddress: requests with the right path and token come from private addresses, those of a node or a proxy in between, and from no listed one; let what stands in front keep the client's address (a Service with externalTrafficPolicy: Local) or tell it (source ProxyProtocol or XForwardedFor), or use spec.verification.sourceAddress.mode Off";
const ELSEWHERE: &str = "spec.endpoint.clientAddress: requests with the right path and token come from addresses of the internet that are not listed; if a proxy stands in front, let it tell the client's address (source ProxyProtocol or XForwardedFor); if Telegram's addresses have changed, list them in spec.verification.sourceAddress.custom; if neither, somebody else has the secret";

/// Notes what the sidecars have seen. Those with another configuration may have looked at another place.
pub fn visibility(pods: &[PodSeen], expected: &Expected, mode: AddressMode, report: &mut Report) {
    const CONCERN: ConditionType = ConditionType::SourceVisible;
    if mode == AddressMode::Off {
        report.unconcerned.push(CONCERN);
        return;
    }
    let sidecars = pods.iter().filter_map(|pod| pod.sidecar.as_ref());
    let current: Vec<_> = sidecars.filter(|sidecar| expected.is_loaded_by(sidecar)).collect();
    if current.is_empty() {
        return;
    }
    let seen: Vec<SourceVisible> =
        current.iter().filter_map(|sidecar| sidecar.loaded.as_ref()?.source_visible).collect();
    // one pod that sees it doesn't help those that get their requests another way
    let hidden = seen.iter().filter(|seen| !seen.visible).max_by_key(|seen| seen.unroutable);
    let message = match hidden {
        Some(hidden) if hidden.unroutable > 0 => HOP,
        Some(_) => ELSEWHERE,
        None if seen.is_empty() => {
            report.unconcerned.push(CONCERN);
            return;
        }
        None => {
            let message = "requests with the right path and token come from listed addresses";
            report.fine(CONCERN, Reason::SourceListed, message);
            return;
        }
    };
    if mode == AddressMode::Enforce {
        report.bad(CONCERN, Reason::SourceHidden, format!("every update is refused: {message}"));
    } else {
        report.doubtful(
            CONCERN,
            Reason::SourceHidden,
            format!("mode Enforce would refuse every update: {message}"),
        );
    }
}

#[cfg(test)]
mod tests {

    use telegram_webhook_sidecar_config::LoadedWebhook;

    use super::*;
    use crate::fixtures::seen::{self, expected, loaded};

    fn pod(digest: &str, seen: impl Into<Option<SourceVisible>>) -> PodSeen {
        seen::pod(LoadedWebhook { source_visible: seen.into(), ..loaded(digest) })
    }

    fn saw(listed: u64, unlisted: u64, unroutable: u64) -> SourceVisible {
        SourceVisible { visible: listed > 0, listed, unlisted, unroutable }
    }

    /// Fine, needed, and the start of the message.
    fn noted(pods: &[PodSeen], mode: AddressMode) -> Option<(bool, bool, String)> {
        let mut report = Report::default();
        visibility(pods, &expected(), mode, &mut report);
        report.findings.pop().map(|finding| (finding.fine, finding.needed, finding.message))
    }

    /// Whether the condition is taken away, and nothing noted instead.
    fn is_absent(pods: &[PodSeen], mode: AddressMode) -> bool {
        let mut report = Report::default();
        visibility(pods, &expected(), mode, &mut report);
        assert!(report.findings.is_empty());
        report.unconcerned == [ConditionType::SourceVisible]
    }

    #[test]
    fn nothing_is_said_where_nothing_was_seen_or_nobody_looks() {
        assert!(is_absent(&[pod("new", None), pod("old", saw(0, 7, 7))], AddressMode::Enforce));
        assert!(is_absent(&[pod("new", saw(0, 1, 1))], AddressMode::Off));
    }

    #[test]
    fn what_was_said_stays_while_no_sidecar_can_tell() {
        assert!(!is_absent(&[pod("old", saw(0, 7, 7))], AddressMode::Enforce));
        assert!(!is_absent(&[PodSeen { ready: true, ..PodSeen::default() }], AddressMode::Shadow));
    }

    #[test]
    fn listed_requests_show_that_the_address_is_visible() {
        let pods = [pod("new", saw(3, 1, 0)), pod("new", None)];
        let (fine, _, message) = noted(&pods, AddressMode::Enforce).unwrap();
        assert!(fine && message.contains("listed addresses"), "{message}");
    }

    #[test]
    fn one_pod_that_sees_only_other_addresses_is_enough_to_say_so() {
        for (hidden, fix) in
            [(saw(0, 2, 2), "externalTrafficPolicy"), (saw(0, 2, 0), "somebody else has the secret")]
        {
            let pods = [pod("new", saw(3, 0, 0)), pod("new", hidden)];
            let (fine, needed, message) = noted(&pods, AddressMode::Enforce).unwrap();
            assert!(!fine && needed, "{message}");
            assert!(message.contains("spec.endpoint.clientAddress") && message.contains(fix), "{message}");
        }
    }

    #[test]
    fn counting_alone_keeps_nothing_from_being_ready() {
        let (fine, needed, message) = noted(&[pod("new", saw(0, 1, 1))], AddressMode::Shadow).unwrap();
        assert!(!fine && !needed && message.contains("would refuse"), "{message}");
    }
}
