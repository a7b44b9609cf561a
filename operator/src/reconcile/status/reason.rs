//! The reasons of conditions and Events.

use std::fmt;

/// Every reason that a condition or an Event can carry. They are API: alerts and scripts match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing is known yet.
    Pending,
    /// `spec.suspend` is true.
    Suspended,
    /// Ready: everything is in place.
    Registered,
    /// The Bot API server accepts the token.
    TokenAccepted,
    /// Telegram has the webhook that the resource declares.
    WebhookSet,
    /// The sidecars have loaded the current secret and path.
    SecretsLoaded,
    /// Pods are ready to receive.
    PodsReady,

    /// Requests with the right path and token come from listed addresses.
    SourceListed,
    /// They come from other addresses.
    SourceHidden,

    /// What is stored reaches the CRM.
    UpdatesDelivered,
    /// The same, and some updates that the CRM didn't take were set aside.
    DeadLetters,
    /// The CRM fails: updates wait.
    CrmNotTaking,
    /// Updates have been waiting for long.
    UpdatesDelayed,
    /// What is acknowledged may be lost, or nothing can be stored.
    NotDurable,

    /// The fallback takes updates in once no pod of the CRM is ready.
    FallbackStandsBy,
    /// No pod of the CRM is ready, and the fallback takes updates in.
    FallbackReceives,
    /// The fallback takes nothing in, or wouldn't.
    FallbackNotReady,

    /// The Secret with the token isn't there.
    TokenSecretNotFound,
    /// The Secret lacks the label that allows its use.
    TokenSecretNotLabelled,
    /// The Secret lacks the key.
    TokenKeyNotFound,
    /// The value is no token.
    TokenMalformed,
    /// The Bot API server doesn't know the token.
    TokenRejected,
    /// The Bot API server isn't among the allowed ones.
    ApiServerNotAllowed,
    /// Another resource has this bot.
    DuplicateBot,
    /// Telegram doesn't deliver to this port.
    PortNotAllowed,
    /// The host has no address.
    HostNotResolved,
    /// The cluster's DNS doesn't answer.
    DnsUnavailable,
    /// The host has no IPv4 address.
    HostIpv6Only,
    /// An address that Telegram refuses.
    AddressReserved,
    /// `spec.endpoint.ipAddress` is no IPv4 address.
    AddressInvalid,
    /// The Secret with the certificate isn't there.
    TlsSecretNotFound,
    /// The Secret lacks `tls.crt` or `tls.key`.
    TlsSecretIncomplete,
    /// The certificate or the key can't be read.
    CertificateUnreadable,
    /// The certificate is no longer valid.
    CertificateExpired,
    /// The certificate isn't valid yet.
    CertificateNotYetValid,
    /// The certificate is for other names.
    CertificateNameMismatch,
    /// The key is another certificate's.
    CertificateKeyMismatch,
    /// `spec.endpoint.clientAddress` contradicts itself.
    ClientAddressInvalid,
    /// `spec.verification.sourceAddress` contradicts itself, or the Bot API server.
    SourceAddressInvalid,
    /// `spec.verification.hmac` contradicts itself.
    HmacInvalid,
    /// The Secret with the signing key isn't there.
    HmacSecretNotFound,
    /// The Secret lacks the label that allows its use.
    HmacSecretNotLabelled,
    /// The Secret lacks the key.
    HmacKeyNotFound,
    /// The value is no signing key.
    HmacSecretMalformed,
    /// `spec.delivery` contradicts itself, or is out of bounds.
    DeliveryInvalid,
    /// A Secret that `spec.delivery` names isn't there.
    DeliverySecretNotFound,
    /// The Secret lacks the label that allows its use.
    DeliverySecretNotLabelled,
    /// The Secret lacks the key.
    DeliveryKeyNotFound,
    /// The value is no signing key, or no secret token.
    DeliverySecretMalformed,
    /// `spec.fallback` needs another backend.
    FallbackInvalid,
    /// `spec.filter` asks for something that there is not.
    FilterInvalid,
    /// `spec.limits` is out of bounds, or bans whom nobody may ban.
    LimitsInvalid,
    /// A child's name is taken by an object of somebody else.
    ChildNotOurs,
    /// The operator's own Secret was changed into something it can't read.
    ChildUnreadable,

    /// No pod matches the selector.
    NoPodsSelected,
    /// Selected pods run without the sidecar.
    SidecarMissing,
    /// Selected pods were started before this resource, or with another certificate's Secret.
    SidecarOutdated,
    /// No selected pod is ready.
    PodsNotReady,
    /// A sidecar hasn't loaded the current configuration yet.
    SecretsNotLoaded,
    /// A sidecar doesn't serve the current certificate yet.
    CertificateNotLoaded,

    /// Telegram refused the webhook.
    RegistrationRefused,
    /// It isn't known whether Telegram took the webhook.
    RegistrationUnconfirmed,
    /// Telegram asks for patience.
    RateLimited,
    /// The Bot API server doesn't answer.
    BotApiUnavailable,
    /// The Kubernetes API refuses or doesn't answer.
    KubernetesApiFailed,
    /// The operator's own fault: no randomness, for example.
    InternalError,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
