//! What makes a webhook count as set: its scheme and port, its address, the trust in it and a connection that was begun,
//! not one that was answered.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::super::{
    bot::{Bot, Server, Settings, Webhook},
    engine::{self, Setup},
    network::Target,
    resolver::{self, AddressError},
    tls,
    webhook_url::WebhookUrl,
};

const PORTS: [u16; 4] = [443, 80, 88, 8443];

/// The text follows `Bad Request: bad webhook: `.
#[derive(Debug, thiserror::Error)]
pub enum BadWebhook {
    #[error("An HTTPS URL must be provided for webhook")]
    Scheme,
    #[error("Webhook can be set up only on ports 80, 88, 443 or 8443")]
    Port,
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("Failed to set custom certificate file")]
    Certificate,
    #[error("the delivery engine ended")]
    Engine,
}

/// Checks the webhook of this generation and starts its engine. Says nothing when it was replaced meanwhile.
pub async fn verify_and_start(bot: &Arc<Bot>, generation: u64) -> Result<(), BadWebhook> {
    let Some((settings, url)) =
        bot.lock().current(generation).map(|webhook| (webhook.settings.clone(), webhook.url.clone()))
    else {
        return Ok(());
    };
    check_url(&url, bot.server.local)?;
    let trust = match &settings.certificate {
        Some(pem) => tls::certificate(pem).map_err(|_| BadWebhook::Certificate),
        None => Ok(Arc::clone(&bot.server.roots)),
    };
    let address = address(&bot.server, &settings, &url).await?;
    let trust = trust?;
    let verified = {
        let mut state = bot.lock();
        let Some(webhook) = state.current(generation) else {
            return Ok(());
        };
        webhook.ip = Some(address);
        webhook.tls = url.https.then_some(trust);
        start_engine(bot, webhook, address)
    };
    verified.await.map_err(|_| BadWebhook::Engine)
}

/// Starts delivering again after `close`: a webhook that was verified once is trusted.
pub fn restart(bot: &Arc<Bot>) {
    let mut state = bot.lock();
    if let Some(webhook) = &mut state.webhook
        && webhook.engine.is_none()
        && let Some(address) = webhook.ip
    {
        drop(start_engine(bot, webhook, address));
    }
}

fn start_engine(
    bot: &Arc<Bot>,
    webhook: &mut Webhook,
    address: IpAddr,
) -> tokio::sync::oneshot::Receiver<()> {
    let (engine, verified) = engine::start(
        Arc::clone(bot),
        Setup {
            generation: webhook.generation,
            url: webhook.url.clone(),
            secret_token: webhook.settings.secret_token.clone(),
            max_connections: webhook.settings.max_connections,
            address,
            fixed_address: !webhook.settings.fixed_ip.is_empty(),
            target: Target {
                address: SocketAddr::new(address, webhook.url.port),
                host: webhook.url.host.clone(),
                tls: webhook.tls.clone(),
            },
            verified: webhook.verified,
        },
    );
    webhook.engine = Some(engine);
    verified
}

fn check_url(url: &WebhookUrl, local: bool) -> Result<(), BadWebhook> {
    if local {
        Ok(())
    } else if !url.https {
        Err(BadWebhook::Scheme)
    } else if !PORTS.contains(&url.port) {
        Err(BadWebhook::Port)
    } else {
        Ok(())
    }
}

async fn address(server: &Server, settings: &Settings, url: &WebhookUrl) -> Result<IpAddr, AddressError> {
    let address = if settings.fixed_ip.is_empty() {
        server.resolver.resolve(&*server.network, &url.host).await?
    } else {
        settings.fixed_ip.parse().map_err(|_| AddressError::Invalid)?
    };
    resolver::check(address, server.local)
}
