//! Real nodes of RabbitMQ, each with ports, a folder and a port mapper of its own.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::ports;
use crate::{pki::Authority, wait};
use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use telegram_webhook_sidecar_config::{ClientCertificate, Secret};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Longest that a node takes to start.
const PATIENCE: Duration = Duration::from_mins(2);
pub const USER: &str = "sidecar";
pub const PASSWORD: &str = "aPassword-OfRabbitMq_9e3d5b7c01f8a264";
/// What the nodes' certificate is for.
pub const NAME: &str = "rabbitmq.test";
/// Where Debian has the server.
pub const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Erlang's, as its process is called.
const MACHINE: &str = "beam.smp";
/// Runs a program and ends it when nobody holds the other end of standard input any more, however the holder ended; removes a folder then.
const WATCHED: &str =
    r#""$@" & pid=$!; cat > /dev/null; kill -9 $pid; wait $pid 2> /dev/null; rm -rf "$REMOVED""#;

/// A node.
pub struct Node {
    server: Option<Watched>,
    /// Ended after the server; never looked at.
    _epmd: Watched,
    dir: TempDir,
    pub port: u16,
    pub tls_port: u16,
    ports: Ports,
    /// Signs the node's certificate.
    pub authority: Authority,
    /// A client's certificate that the node trusts.
    pub client: ClientCertificate,
}

/// Where the port mapper and the node's own protocol listen.
struct Ports {
    epmd: u16,
    distribution: u16,
}

/// A process that ends with us.
struct Watched(Child);

/// One node for all tests that don't harm it, which ends with the last of them.
pub async fn shared() -> anyhow::Result<&'static Node> {
    static NODE: OnceCell<Node> = OnceCell::const_new();
    NODE.get_or_try_init(async || Node::start_with(tempfile::tempdir()?, "", true).await).await
}

// === impl Node ===

impl Node {
    /// With settings that its configuration file has no names for, as Erlang writes them.
    pub async fn start(settings: &str) -> anyhow::Result<Self> {
        Self::start_with(tempfile::tempdir()?, settings, false).await
    }

    /// In a folder of our choice: temporary files may be in memory.
    pub async fn start_under(folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(tempfile::tempdir_in(folder)?, "", false).await
    }

    async fn start_with(dir: TempDir, settings: &str, removes_its_folder: bool) -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let leaf = authority.issue(NAME)?;
        let (clients, client) = client()?;
        let trusted = format!("{}{clients}", authority.pem());
        let advanced = format!("[{{rabbit, [{settings}]}}].");
        let [port, tls_port, epmd, distribution] = ports::free()?;
        let path = |name: &str| dir.path().join(name).display().to_string();
        for (name, content) in [
            ("ca.pem", trusted.as_str()),
            ("cert.pem", &leaf.chain),
            ("key.pem", &leaf.key),
            ("plugins", "[]."),
            ("advanced.config", &advanced),
        ] {
            fs::write(path(name), content)?;
        }
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlisteners.ssl.1 = 127.0.0.1:{tls_port}\n\
             ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false\n\
             default_user = {USER}\ndefault_pass = {PASSWORD}\nloopback_users = none\n",
            path("ca.pem"),
            path("cert.pem"),
            path("key.pem"),
        );
        fs::write(path("rabbitmq.conf"), config)?;
        let mut mapper = Command::new("epmd");
        mapper.args(["-address", "127.0.0.1", "-port", &epmd.to_string()]);
        let mapper = Watched::spawn(&mapper, None)?;
        let ports = Ports { epmd, distribution };
        let mut node = Self { server: None, _epmd: mapper, dir, port, tls_port, ports, authority, client };
        let removed = removes_its_folder.then(|| node.dir.path().to_owned());
        node.run(removed.as_deref()).await?;
        Ok(node)
    }

    async fn run(&mut self, removed: Option<&Path>) -> anyhow::Result<()> {
        let Self { dir, port, tls_port, ports: Ports { epmd, distribution }, .. } = &*self;
        let path = |name: &str| dir.path().join(name);
        let mut server = Command::new(SERVER);
        server
            .env("HOME", dir.path())
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_NODENAME", format!("test-{port}@localhost"))
            .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            // cores are few, and busy with other nodes
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none")
            // then the script becomes the server instead of staying in front of it
            .env("RUNNING_UNDER_SYSTEMD", "true");
        let server = Watched::spawn(&server, removed).context("apt-get install rabbitmq-server")?;
        let listens = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let ready = wait::until("RabbitMQ to listen", PATIENCE, async || {
            Ok((listens(*port) && listens(*tls_port)).then_some(()))
        });
        ready.await.with_context(|| {
            let output = fs::read_to_string(path("output")).unwrap_or_default();
            format!("{SERVER} (apt-get install rabbitmq-server): {output}")
        })?;
        self.server = Some(server);
        Ok(())
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Of the process that all of the server is in.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.server.as_ref().and_then(|server| server.child_named(MACHINE)).context("RabbitMQ has ended")
    }

    /// Ends it as kill -9 does.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it again where it was.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.run(None).await
    }
}

// === impl Watched ===

impl Watched {
    fn spawn(command: &Command, removed: Option<&Path>) -> anyhow::Result<Self> {
        let mut watched = Command::new("sh");
        watched.args(["-c", WATCHED, "sh"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            watched.env(name, value.unwrap_or_default());
        }
        watched.env("REMOVED", removed.unwrap_or_else(|| Path::new("")));
        watched.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(watched.spawn()?))
    }

    /// The process that is watched, if it has come to be called so.
    fn child_named(&self, name: &str) -> Option<u32> {
        let shell = self.0.id();
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
        let is_called = |pid: &&str| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        };
        children.split_whitespace().find(is_called)?.parse().ok()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

/// An authority for clients, as PEM, and one of its certificates.
fn client() -> anyhow::Result<(String, ClientCertificate)> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "test authority for clients");
    let key = KeyPair::generate()?;
    let pem = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);
    let mut client = CertificateParams::default();
    client.distinguished_name.push(DnType::CommonName, USER);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let chain = client.signed_by(&key, &issuer)?.pem();
    Ok((pem, ClientCertificate { chain, key: Secret(key.serialize_pem()) }))
}
