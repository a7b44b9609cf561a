//! Who is asked in a round.

use std::path::Path;

use anyhow::Context as _;

use crate::bench::{
    report::Case,
    server::{Server, System},
    site::Site,
};

/// The systems that are asked.
pub struct Servers {
    /// Those that deliver while Telegram waits.
    proxies: Vec<(System, Server)>,
    /// The sidecar as it is by default.
    pub queued: Server,
}

// === impl Servers ===

impl Servers {
    pub async fn start(site: &Site, envoy: &Path) -> anyhow::Result<Self> {
        let mut proxies = Vec::new();
        for system in System::ALL {
            proxies.push((system, Server::start(system, site, envoy).await?));
        }
        Ok(Self { proxies, queued: Server::start_sidecar(site, &site.sidecar_config()).await? })
    }

    /// That of a system for a case.
    pub fn of(&self, system: System, case: Case) -> anyhow::Result<&Server> {
        if system == System::Sidecar && matches!(case, Case::Idle | Case::Deliver | Case::Paced) {
            return Ok(&self.queued);
        }
        let mut proxies = self.proxies.iter();
        let server = proxies.find_map(|(name, server)| (*name == system).then_some(server));
        server.with_context(|| format!("{system} doesn't run"))
    }
}
