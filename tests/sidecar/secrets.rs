//! Nothing that the sidecar says holds a secret, even with all there is to log logged.

use crate::fixture::{Fixture, NAME, PATH, TOKEN, TOKEN_HEADER, UPDATE, request, slot};

#[tokio::test]
async fn logs_metrics_and_admin_answers_hold_no_path_token_key_or_body() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let body = UPDATE.replace("hello", "aMessageOfACustomer");
    let malformed = "{\"update_id\":\"aMessageOfACustomer\"}";
    let unwanted = "{\"update_id\":1,\"aMessageOfACustomer\":{}}";
    let guess = "aGuessedToken";
    // every way through
    assert_eq!(fixture.ask(request(PATH, TOKEN, &body)).await?.status, 200);
    assert_eq!(fixture.ask(request(PATH, guess, &body)).await?.status, 401);
    assert_eq!(fixture.ask(request("/aGuessedPath", TOKEN, &body)).await?.status, 404);
    assert_eq!(fixture.ask(request(PATH, TOKEN, malformed)).await?.status, 200);
    assert_eq!(fixture.ask(request(PATH, TOKEN, unwanted)).await?.status, 200);
    let head = format!("{PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: {TOKEN}\r\n");
    assert_eq!(fixture.ask(format!("GET {head}\r\n")).await?.status, 405);
    let oversize = format!("POST {head}Content-Length: 2000000\r\n\r\n");
    assert_eq!(fixture.ask(oversize).await?.status, 413);
    let broken = format!("POST {head}Transfer-Encoding: chunked\r\n\r\naMessageOfACustomer\r\n");
    assert_eq!(fixture.ask(broken).await?.status, 400);
    fixture.config.slots.push(slot(2, "/telegram/nextPath", "nextToken"));
    fixture.reconfigure().await?;
    fixture.folder.set_file(NAME, "config.json", fixture.config.to_bytes().split_off(20));
    fixture.publish("new configuration refused, the old one stays in use").await?;

    let mut said = fixture.sidecar.log().join("\n");
    for path in ["/metrics", "/config", "/bans", "/readyz", "/livez", "/nowhere"] {
        said.push_str(&fixture.admin("GET", path).await?.body);
    }
    // what is searched is what was said
    assert!(said.contains("token_wrong") && said.contains("crm/support") && said.contains("# EOF"));
    let lines = ["request refused", "update dropped"].map(|message| said.matches(message).count());
    assert_eq!(lines, [5, 2], "one line per refusal");
    let key = fixture.certificate.key.lines().nth(1).unwrap_or_default();
    for secret in [
        PATH,
        PATH.trim_start_matches("/telegram/"),
        TOKEN,
        guess,
        "aGuessedPath",
        "aMessageOfACustomer",
        "nextPath",
        "nextToken",
        key,
    ] {
        let line = said.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "holds {secret}");
    }
    Ok(())
}
