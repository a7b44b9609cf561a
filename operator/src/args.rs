//! The flags, each also an environment variable, and what they mean.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;

/// Keeps Telegram webhooks as TelegramWebhook resources declare them, and injects the sidecar that receives them.
#[derive(Parser, Debug, Clone)]
#[command(name = "telegram-webhook-operator", version)]
pub struct Args {
    /// Image of the sidecar that is injected into pods.
    #[arg(long, env = "SIDECAR_IMAGE")]
    pub sidecar_image: String,

    /// A repository that a sidecar's image may come from besides the one of --sidecar-image, without tag and digest: the name
    /// under which a registry mirror serves it. May be repeated.
    #[arg(long, env = "ALLOWED_SIDECAR_REPOSITORIES", value_delimiter = ',', value_name = "REPOSITORY")]
    pub allowed_sidecar_repository: Vec<String>,

    /// The operator's own namespace: its lease and its certificate authority are kept there.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,

    /// The operator's own pod, as holder of the lease and reporter of Events.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: String,

    /// A self-hosted Bot API server that resources may use, such as http://telegram-bot-api.telegram:8081. May be repeated.
    /// Hosts of resources that use it may have private addresses.
    #[arg(long, env = "LOCAL_API_SERVERS", value_delimiter = ',', value_name = "URL", value_parser = server)]
    pub local_api_server: Vec<String>,

    /// Seconds between two looks at a resource that nothing has happened to.
    #[arg(long, env = "RESYNC", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub resync: Duration,

    /// Seconds that the deletion of a resource may be held up by an unreachable Bot API server.
    #[arg(long, env = "CLEANUP_DEADLINE", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub cleanup_deadline: Duration,

    /// Where admission reviews are served, over HTTPS.
    #[arg(long, env = "ADMISSION_ADDRESS", default_value = "0.0.0.0:9443")]
    pub admission_address: SocketAddr,

    /// Where probes and metrics are served, over plain HTTP.
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub admin_address: SocketAddr,

    /// Name of the Service that the API server reaches admission by; its certificate is for that name.
    #[arg(long, env = "ADMISSION_SERVICE")]
    pub admission_service: String,

    /// Name of the MutatingWebhookConfiguration whose caBundle the operator keeps.
    #[arg(long, env = "ADMISSION_CONFIGURATION")]
    pub admission_configuration: String,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err("must be a number of seconds from 1 to 86400".to_owned()),
    }
}

/// Scheme, host and port only: whatever followed would be put in front of the token.
fn server(text: &str) -> Result<String, String> {
    let malformed = || "must look like http://host:port or https://host".to_owned();
    let url = url::Url::parse(text).map_err(|_| malformed())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    if !matches!(url.scheme(), "http" | "https") || !bare || !plain {
        return Err(malformed());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 13] = [
        "telegram-webhook-operator",
        "--sidecar-image=sidecar:1",
        "--namespace=telegram",
        "--pod-name=operator-0",
        "--admission-service=operator",
        "--admission-configuration=operator",
        "--admin-address=127.0.0.1:0",
        "--admission-address=127.0.0.1:0",
        "--resync=30",
        "--cleanup-deadline=10",
        "--local-api-server=http://bot-api:8081/",
        "--allowed-sidecar-repository=mirror/a",
        "--allowed-sidecar-repository=mirror/b",
    ];

    #[test]
    fn the_flags_are_read() {
        let args = Args::try_parse_from(REQUIRED).unwrap();
        assert_eq!(args.local_api_server, ["http://bot-api:8081"]);
        assert_eq!(args.resync, Duration::from_secs(30));
        assert_eq!(args.allowed_sidecar_repository, ["mirror/a", "mirror/b"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for flag in [
            "--resync=0",
            "--resync=x",
            "--local-api-server=bot-api:8081",
            "--local-api-server=http://bot-api:8081/path",
            "--local-api-server=http://user@bot-api:8081",
        ] {
            let args = REQUIRED.into_iter().filter(|arg| !arg.starts_with("--resync")).chain([flag]);
            assert!(Args::try_parse_from(args).is_err(), "{flag}");
        }
    }
}
