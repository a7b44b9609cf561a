//! The images of this workspace, and how an image gets into a cluster.

use anyhow::{Context as _, Result};

use crate::binaries;

use super::{
    Progress, command,
    image::{Image, Layout},
    paths::{Paths, text},
};

/// The operator's image.
pub const OPERATOR: &str = "localhost/telegram-webhook-operator:test";
/// The sidecar's image.
pub const SIDECAR: &str = "localhost/telegram-webhook-sidecar:test";
/// The simulator of Telegram and the sample CRM; a pod chooses by its command.
pub const TEST_TOOLS: &str = "localhost/telegram-webhook-test-tools:test";

/// Each image with the binaries it holds, of which the first is its entrypoint.
const CONTENTS: [(&str, &[&str]); 3] = [
    (OPERATOR, &["telegram-webhook-operator"]),
    (SIDECAR, &["telegram-webhook-sidecar"]),
    (TEST_TOOLS, &["telegram-simulator", "sample-crm"]),
];

/// Builds the workspace's binaries and makes its three images.
pub async fn of_workspace(progress: Progress<'_>) -> Result<Vec<Image>> {
    progress("building the workspace's binaries");
    let names: Vec<_> = CONTENTS.iter().flat_map(|(_, binaries)| binaries.iter().copied()).collect();
    let built = binaries::build(&names).await?;
    let mut images = Vec::new();
    for (name, binaries) in CONTENTS {
        let mut layout = Layout::new().with_ca_certificates()?;
        for binary in binaries {
            let path = built.get(*binary).context("an image needs its binary")?;
            layout = layout.with_binary(binary, path).await?;
        }
        let entrypoint = format!("/{}", binaries.first().context("an image needs a binary")?);
        images.push(Image::new(name, layout, &[&entrypoint])?);
    }
    Ok(images)
}

/// Puts `image` into the cluster's containerd, unless it is there.
pub async fn import(paths: &Paths, image: &Image) -> Result<()> {
    let socket = paths.containerd_socket();
    let ctr = ["--address", text(&socket)?, "--namespace", "k8s.io", "images"];
    let filter = format!("name=={}", image.name());
    let present = command::run("ctr", &[&ctr[..], &["list", &filter]].concat()).await?;
    if present.contains(image.digest()) {
        return Ok(());
    }
    let archive = paths.state.join(format!("image-{}.tar", image.digest().replace(':', "-")));
    image.write_to(&archive)?;
    let imported = command::run("ctr", &[&ctr[..], &["import", text(&archive)?]].concat()).await;
    std::fs::remove_file(&archive)?;
    imported.with_context(|| format!("{image:?} can't be loaded"))?;
    Ok(())
}
