//! Without an operator: one file, checked and served.

mod readme;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use telegram_webhook_tests::{
    pki::Leaf,
    sidecar::{Sidecar, binary},
};
use tempfile::TempDir;
use tokio::process::Command;

use crate::fixture::{Fixture, HOST, PATH, TOKEN, UPDATE, config, request, slot, update};

/// A folder with the file and the certificate of its webhooks.
struct File {
    dir: TempDir,
    webhooks: Vec<Value>,
}

/// What a command said at its end.
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

impl File {
    /// One webhook, for the CRM at this port.
    fn new(port: u16, certificate: &Leaf) -> anyhow::Result<Self> {
        let mut webhook = serde_json::to_value(config("support", HOST, port))?;
        webhook["tls"] = json!({"certificateFile": "tls/hooks.crt", "keyFile": "tls/hooks.key"});
        let file = Self { dir: tempfile::tempdir()?, webhooks: vec![webhook] };
        fs::create_dir(file.dir.path().join("tls"))?;
        file.write_certificate(certificate)?;
        file.write()?;
        Ok(file)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("webhooks.json")
    }

    fn write(&self) -> anyhow::Result<()> {
        let next = self.dir.path().join("next.json");
        fs::write(&next, serde_json::to_vec_pretty(&json!({"webhooks": self.webhooks}))?)?;
        Ok(fs::rename(next, self.path())?)
    }

    fn write_certificate(&self, certificate: &Leaf) -> anyhow::Result<()> {
        fs::write(self.dir.path().join("tls/hooks.crt"), &certificate.chain)?;
        Ok(fs::write(self.dir.path().join("tls/hooks.key"), &certificate.key)?)
    }
}

async fn check(option: &str, path: &Path) -> anyhow::Result<Said> {
    let output = Command::new(binary().await?).args(["check", option]).arg(path).output().await?;
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        error: String::from_utf8(output.stderr)?,
    })
}

/// A fixture whose sidecar reads the file.
async fn start() -> anyhow::Result<(Fixture, File)> {
    let mut fixture = Fixture::start().await?;
    let file = File::new(fixture.crm.port, &fixture.certificate)?;
    fixture.sidecar = Sidecar::start_with_file(&file.path()).await?;
    Ok((fixture, file))
}

#[tokio::test]
async fn an_update_goes_through_to_the_crm() -> anyhow::Result<()> {
    let (mut fixture, _file) = start().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, update(1))).await?.status, 200);
    assert_eq!(fixture.crm.received().await?.1, update(1));
    assert_eq!(fixture.ask(request(PATH, "guess", UPDATE)).await?.status, 401);
    assert_eq!(fixture.admin("GET", "/readyz").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_change_of_the_file_is_taken_over_or_refused_as_a_whole() -> anyhow::Result<()> {
    let (fixture, mut file) = start().await?;
    let mut open = fixture.connect().await?;
    let old = request(PATH, TOKEN, update(1));
    let new = request("/telegram/next", "next", update(2));
    assert_eq!(open.ask(&old).await?.status, 200);

    let good = file.webhooks.clone();
    file.webhooks[0]["slots"] = json!([slot(2, "/telegram/next", "next")]);
    file.webhooks.push(json!({"webhook": "crm/unfinished"}));
    file.write()?;
    let refused = "new configuration refused, the old one stays in use";
    let line = fixture.sidecar.logged(0, refused).await?;
    assert!(line.contains("webhooks.json: webhooks[1]: missing field"), "{line}");
    assert_eq!(open.ask(&new).await?.status, 404);
    assert_eq!(open.ask(&old).await?.status, 200);

    let before = fixture.sidecar.log().len();
    file.webhooks.truncate(1);
    file.write()?;
    fixture.sidecar.logged(before, "configuration loaded").await?;
    assert_eq!(open.ask(&old).await?.status, 404);
    assert_eq!(open.ask(&new).await?.status, 200);
    assert_ne!(good, file.webhooks);
    Ok(())
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_change_of_the_file() -> anyhow::Result<()> {
    let (fixture, file) = start().await?;
    let mut open = fixture.connect().await?;
    assert_eq!(open.certificate()?, fixture.certificate.certificate);
    let renewed = fixture.authority.issue(HOST)?;
    let before = fixture.sidecar.log().len();
    file.write_certificate(&renewed)?;
    fixture.sidecar.logged(before, "configuration loaded").await?;
    assert_eq!(fixture.connect().await?.certificate()?, renewed.certificate);
    assert_eq!(open.ask(request(PATH, TOKEN, update(1))).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn check_tells_what_a_good_configuration_sets_up_and_none_of_its_secrets() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let file = File::new(3000, &fixture.certificate)?;
    let of_file = check("--config", &file.path()).await?;
    assert_eq!((of_file.code, &*of_file.error), (Some(0), ""));
    assert_eq!(of_file.out, format!("ok\ncrm/support: {HOST} -> http://127.0.0.1:3000/webhooks/telegram\n"));
    let of_folder = check("--config-dir", fixture.folder.path()).await?;
    assert_eq!((of_folder.code, &*of_folder.error), (Some(0), ""));
    assert_eq!(of_folder.out, of_file.out.replace("3000", &fixture.crm.port.to_string()));
    Ok(())
}

#[tokio::test]
async fn check_and_run_name_every_mistake_and_quote_no_secret() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut file = File::new(3000, &fixture.certificate)?;
    let good = file.webhooks[0].clone();
    file.webhooks[0]["host"] = "not a host".into();
    file.webhooks[0]["slots"][0]["secretToken"] = "bad token SECRET".into();
    for (field, value) in [("failures", json!("SECRET")), ("failure", json!(20))] {
        let mut webhook = good.clone();
        webhook["limits"]["ban"] = json!({"windowSeconds": 60, "durationSeconds": 60, field: value});
        file.webhooks.push(webhook);
    }
    file.webhooks.push(good);
    file.webhooks[3]["tls"]["keyFile"] = "absent.key".into();
    file.write()?;

    let said = check("--config", &file.path()).await?;
    assert_eq!((said.code, &*said.out), (Some(64), ""));
    let lines: Vec<_> = said.error.lines().collect();
    let places = [
        "webhooks[0].host: must be a DNS name",
        "webhooks[0].slots[0].secretToken: must be 1 to 256 letters",
        "webhooks[1].limits.ban.failures: must be a whole number, 0 or above, at line ",
        "webhooks[2].limits.ban.failure: unknown field `failure`",
        "webhooks[3].tls.keyFile: ",
    ];
    assert_eq!(lines.len(), places.len(), "{lines:#?}");
    for (line, place) in lines.iter().zip(places) {
        assert!(line.starts_with(&format!("{}: {place}", file.path().display())), "{line}: not {place}");
    }
    let ended = Sidecar::start_with_file_in_vain(&file.path()).await?;
    assert_eq!(ended.status.code(), Some(64));
    let log = ended.lines.join("\n");
    assert!(places.iter().all(|place| log.contains(place)), "{log}");
    for text in [&said.error, &log] {
        for word in ["SECRET", "TelegramWebhook", "folder", "pod"] {
            assert!(!text.contains(word), "{word} is in {text}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_telegram_will_refuse_is_a_warning() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let file = File::new(fixture.crm.port, &fixture.authority.issue("other.example.com")?)?;
    let doubt = format!(
        "{}: webhooks[0].tls.certificateFile: is not for the host {HOST}: Telegram will refuse it",
        file.path().display()
    );
    let said = check("--config", &file.path()).await?;
    assert_eq!((said.code, said.error), (Some(0), format!("warning: {doubt}\n")));
    assert!(said.out.starts_with("ok\n"), "{}", said.out);
    fixture.sidecar = Sidecar::start_with_file(&file.path()).await?;
    let line = fixture.sidecar.logged(0, "Telegram may not connect").await?;
    assert!(line.contains("\"level\":\"WARN\"") && line.contains(&doubt), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_folder_without_webhooks_is_told_plainly() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let said = check("--config-dir", dir.path()).await?;
    assert_eq!(said.code, Some(64));
    let holds = "holds no webhook: there must be a folder for each, with config.json, tls.crt and tls.key";
    assert_eq!(said.error, format!("{}: {holds}\n", dir.path().display()));
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_configuration_error() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let said = check("--config", &dir.path().join("absent.json")).await?;
    assert_eq!(said.code, Some(64));
    assert!(said.error.contains("absent.json: can't be read: No such file"), "{}", said.error);
    let said = check("--config-dir", &dir.path().join("absent")).await?;
    assert_eq!(said.code, Some(64));
    assert!(said.error.contains("absent: can't be read"), "{}", said.error);
    Ok(())
}
