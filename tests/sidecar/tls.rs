//! Certificates: chosen by name, renewed without a pause.

use telegram_webhook_tests::{
    pki::Authority,
    sidecar::{ConfigFolder, Sidecar},
};

use crate::{
    client::{Connection, Handshake},
    crm::Crm,
    fixture::{Fixture, HOST, NAME, PATH, TOKEN, UPDATE, config, request, slot, update},
};

#[tokio::test]
async fn a_renewed_certificate_is_served_without_disturbing_open_connections() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let old = fixture.certificate.certificate.clone();
    let mut open = fixture.connect().await?;
    assert_eq!(open.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(open.certificate()?, old);

    fixture.certificate = fixture.authority.issue(HOST)?;
    fixture.reconfigure().await?;

    let mut new = fixture.connect().await?;
    assert_eq!(new.certificate()?, fixture.certificate.certificate);
    assert_eq!(new.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    let answer = open.ask(request(PATH, TOKEN, UPDATE)).await?;
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    Ok(())
}

#[tokio::test]
async fn a_key_that_does_not_belong_to_the_certificate_keeps_the_old_pair() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let other = fixture.authority.issue(HOST)?;
    fixture.folder.set_file(NAME, "tls.crt", &*other.chain);
    let line = fixture.publish("new configuration refused, the old one stays in use").await?;
    assert!(line.contains("support/tls.key: does not belong to the certificate"), "{line}");
    assert_eq!(fixture.connect().await?.certificate()?, fixture.certificate.certificate);
    Ok(())
}

/// A sidecar with two bots of different hosts that share a pod.
async fn two_bots(crm_a: &Crm, crm_b: &Crm) -> anyhow::Result<(Sidecar, Authority, ConfigFolder)> {
    let authority = Authority::new()?;
    let mut folder = ConfigFolder::new()?;
    let mut a = config("a", "a.example.com", crm_a.port);
    a.slots = vec![slot(1, "/telegram/a", "token-a")];
    folder.set("a", &a, &authority.issue("a.example.com")?);
    let mut b = config("b", "b.example.com", crm_b.port);
    b.slots = vec![slot(1, "/telegram/b", "token-b")];
    folder.set("b", &b, &authority.issue("b.example.com")?);
    folder.publish()?;
    let sidecar = Sidecar::start(&folder).await?;
    Ok((sidecar, authority, folder))
}

#[tokio::test]
async fn two_bots_are_told_apart_by_name_path_and_token() -> anyhow::Result<()> {
    let (mut crm_a, mut crm_b) = (Crm::start().await?, Crm::start().await?);
    let (sidecar, authority, _folder) = two_bots(&crm_a, &crm_b).await?;
    let mut a = Connection::open(&sidecar, &authority, "a.example.com").await?;
    let mut b = Connection::open(&sidecar, &authority, "b.example.com").await?;
    assert_eq!(a.ask(request("/telegram/a", "token-b", UPDATE)).await?.status, 401);
    assert_eq!(b.ask(request("/telegram/b", "token-a", UPDATE)).await?.status, 401);
    assert!(crm_a.has_received_nothing_more() && crm_b.has_received_nothing_more());
    assert_eq!(a.ask(request("/telegram/a", "token-a", update(1))).await?.status, 200);
    assert_eq!(b.ask(request("/telegram/b", "token-b", update(2))).await?.status, 200);
    assert_eq!(crm_a.received().await?.1, update(1));
    assert_eq!(crm_b.received().await?.1, update(2));
    Ok(())
}

#[tokio::test]
async fn a_client_that_names_no_host_gets_the_only_certificate_or_none() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let nameless = |host| Handshake { host, send_name: false };
    let connection = Connection::shake_hands(&fixture.sidecar, &fixture.authority, &nameless(HOST)).await?;
    assert_eq!(connection.certificate()?, fixture.certificate.certificate);

    let crm = Crm::start().await?;
    let (sidecar, authority, _folder) = two_bots(&crm, &crm).await?;
    let refused = Connection::shake_hands(&sidecar, &authority, &nameless("a.example.com")).await;
    assert!(refused.is_err(), "which of the two it wants can't be known");
    Ok(())
}

#[tokio::test]
async fn a_host_that_has_changed_is_served_under_its_former_name_too() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    // the certificate still is for HOST, and so is what Telegram was told
    fixture.config.host = "new.example.com".to_owned();
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);

    let crm = Crm::start().await?;
    let (sidecar, authority, mut folder) = two_bots(&crm, &crm).await?;
    let mut moved = config("b", "new.example.com", crm.port);
    moved.slots = vec![slot(1, "/telegram/b", "token-b")];
    folder.set_file("b", "config.json", moved.to_bytes());
    let before = sidecar.log().len();
    folder.publish()?;
    sidecar.logged(before, "configuration loaded").await?;
    let mut former = Connection::open(&sidecar, &authority, "b.example.com").await?;
    assert_eq!(former.ask(request("/telegram/b", "token-b", UPDATE)).await?.status, 200);
    let refused = Connection::open(&sidecar, &authority, "c.example.com").await;
    assert!(refused.is_err(), "which of the two it wants can't be known");
    Ok(())
}
