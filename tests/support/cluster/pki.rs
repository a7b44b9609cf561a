//! The cluster's certificate authority, certificates, service account key and kubeconfigs.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{network::NODE_ADDRESS, paths::Paths};

/// Name of the one node.
pub const NODE: &str = "node1";
/// The API server's address inside the cluster: the first of the Services' range.
const KUBERNETES_SERVICE: &str = "10.96.0.1";

/// Who a certificate is for: user name, group, and the names it serves under.
struct Subject<'a> {
    name: &'a str,
    user: &'a str,
    group: Option<&'a str>,
    serves: &'a [&'a str],
}

const SUBJECTS: [Subject<'_>; 3] = [
    Subject {
        name: "apiserver",
        user: "kube-apiserver",
        group: None,
        serves: &["localhost", "kubernetes.default.svc", "127.0.0.1", KUBERNETES_SERVICE, NODE_ADDRESS],
    },
    Subject { name: "admin", user: "admin", group: Some("system:masters"), serves: &[] },
    Subject {
        name: "kubelet",
        user: "system:node:node1",
        group: Some("system:nodes"),
        serves: &[NODE, NODE_ADDRESS],
    },
];

/// Writes `<state>/pki/*`, `<state>/admin.conf` and `<state>/kubelet.conf`.
pub fn write(paths: &Paths) -> Result<()> {
    let folder = paths.state.join("pki");
    fs::create_dir_all(&folder)?;
    let authority = authority()?;
    fs::write(folder.join("ca.crt"), authority.pem())?;
    for subject in &SUBJECTS {
        let key = KeyPair::generate()?;
        let certificate = parameters(subject)?.signed_by(&key, &authority)?;
        fs::write(folder.join(format!("{}.crt", subject.name)), certificate.pem())?;
        write_private(&folder.join(format!("{}.key", subject.name)), &key.serialize_pem())?;
    }
    let service_accounts = KeyPair::generate()?;
    write_private(&folder.join("sa.key"), &service_accounts.serialize_pem())?;
    fs::write(folder.join("sa.pub"), service_accounts.public_key_pem())?;
    for user in ["admin", "kubelet"] {
        write_private(&paths.state.join(format!("{user}.conf")), &kubeconfig(&folder, user)?)?;
    }
    Ok(())
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "test-cluster");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    limit(&mut parameters);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)
        .context("the certificate authority can't be made")
}

fn parameters(subject: &Subject<'_>) -> Result<CertificateParams> {
    let names: Vec<_> = subject.serves.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, subject.user);
    if let Some(group) = subject.group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    limit(&mut parameters);
    Ok(parameters)
}

/// A year: longer than any test cluster is kept. An hour of the past, for clocks that are set back.
fn limit(parameters: &mut CertificateParams) {
    parameters.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    parameters.not_after = OffsetDateTime::now_utc() + Duration::days(365);
}

fn kubeconfig(pki: &Path, user: &str) -> Result<String> {
    let cluster = json!({
        "server": format!("https://{NODE_ADDRESS}:6443"),
        "certificate-authority": pki.join("ca.crt"),
    });
    let credentials = json!({
        "client-certificate": pki.join(format!("{user}.crt")),
        "client-key": pki.join(format!("{user}.key")),
    });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "current-context": "test",
    });
    Ok(serde_json::to_string_pretty(&config)?)
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(())
}
