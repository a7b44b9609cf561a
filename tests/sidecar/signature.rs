//! A relay that signs what it passes on.

use telegram_webhook_sidecar_config::{Hmac, HmacEncoding};

use crate::fixture::{Fixture, PATH, TOKEN, TOKEN_HEADER};

const BODY: &str = r#"{"update_id":1,"callback_query":{"from":{"id":5}}}"#;

fn signed(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: {TOKEN}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn only_what_the_relay_signed_is_delivered() -> anyhow::Result<()> {
    let mut fixture = Fixture::start_with(|config| {
        config.hmac = Some(Hmac::Body {
            header: "X-Signature".to_owned(),
            encoding: HmacEncoding::Hex,
            secret: "a secret of a relay".to_owned(),
        });
    })
    .await?;
    // printf '%s' '{"update_id":1,"callback_query":{"from":{"id":5}}}' | openssl dgst -sha256 -hmac 'a secret of a relay'
    let right = "x-signature: sha256=f599be8e8d00a7093b1023108bf856c1abc502263baff036c17caaff63b004e5\r\n";
    let mut connection = fixture.connect().await?;
    for (headers, body, outcome) in [
        ("", BODY, "signature_missing"),
        (&*right.repeat(2), BODY, "signature_repeated"),
        (right, "{\"update_id\":2}", "signature_wrong"),
    ] {
        let answer = connection.ask(signed(headers, body)).await?;
        assert_eq!(answer.status, 401, "{outcome}");
        answer.assert_bare();
        assert_eq!(fixture.requests(outcome).await?, 1, "{outcome}");
    }
    assert_eq!(connection.ask(signed(right, BODY)).await?.status, 200);
    assert_eq!(fixture.crm.received().await?.1, BODY);
    assert!(fixture.crm.has_received_nothing_more());
    Ok(())
}

#[tokio::test]
async fn an_old_message_of_a_relay_is_refused() -> anyhow::Result<()> {
    let fixture = Fixture::start_with(|config| {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        config.hmac = Some(Hmac::StandardWebhooks { secret, tolerance_seconds: 3600 });
    })
    .await?;
    // the example of the specification, sent in 2021
    let headers = "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nwebhook-timestamp: 1614265330\r\n\
                   webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n";
    let answer = fixture.ask(signed(headers, "{\"test\": 2432232314}")).await?;
    assert_eq!(answer.status, 401);
    let record = fixture.sidecar.logged(0, "request refused").await?;
    assert!(record.contains("\"reject\":\"signature_stale\""), "{record}");
    Ok(())
}
