//! Requests that are not Telegram's, each with the status that refuses it.

use http::Method;
use telegram_webhook_sidecar_config::Slot;

use crate::{crm::SECRET_HEADER, pod_http::PodConnection};

/// A request that must not reach the CRM.
struct Forgery<'a> {
    what: &'static str,
    method: Method,
    path: &'a str,
    tokens: Vec<&'a str>,
    status: u16,
}

/// One forged request and its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was wrong with the request.
    pub what: &'static str,
    /// The status that it should get.
    pub expected: u16,
    /// The status that it got.
    pub got: u16,
    /// Whether the answer had a body; it never should.
    pub body: bool,
}

impl Refusal {
    /// The request was refused in the right way.
    pub fn is_right(&self) -> bool {
        self.expected == self.got && !self.body
    }
}

/// Sends every forgery over the connection, with an update that nobody sent.
pub async fn try_all(connection: &mut PodConnection, slot: &Slot) -> anyhow::Result<Vec<Refusal>> {
    let token = slot.secret_token.as_str();
    let mut almost = slot.secret_token.clone();
    let last = almost.pop();
    almost.push(if last == Some('A') { 'B' } else { 'A' });
    let long = "A".repeat(300);
    let longer_path = format!("{}0", slot.path);
    let path = slot.path.as_str();
    let forgeries = [
        Forgery { what: "no token", method: Method::POST, path, tokens: vec![], status: 401 },
        Forgery { what: "wrong token", method: Method::POST, path, tokens: vec!["wrong"], status: 401 },
        Forgery {
            what: "last character wrong",
            method: Method::POST,
            path,
            tokens: vec![&almost],
            status: 401,
        },
        Forgery { what: "token too long", method: Method::POST, path, tokens: vec![&long], status: 401 },
        Forgery { what: "token twice", method: Method::POST, path, tokens: vec![token, token], status: 401 },
        Forgery {
            what: "wrong path",
            method: Method::POST,
            path: "/telegram/guess",
            tokens: vec![token],
            status: 404,
        },
        Forgery {
            what: "one character more",
            method: Method::POST,
            path: &longer_path,
            tokens: vec![token],
            status: 404,
        },
        Forgery {
            what: "the CRM's path",
            method: Method::POST,
            path: "/webhooks/telegram",
            tokens: vec![token],
            status: 404,
        },
        Forgery { what: "another method", method: Method::GET, path, tokens: vec![token], status: 405 },
    ];
    let mut refusals = Vec::with_capacity(forgeries.len());
    for Forgery { what, method, path, tokens, status } in forgeries {
        let headers: Vec<_> = tokens.iter().map(|token| (SECRET_HEADER, *token)).collect();
        let answer = connection
            .send(method, path, &headers, r#"{"update_id":1,"message":{"chat":{"id":666,"type":"private"}}}"#)
            .await?;
        refusals.push(Refusal {
            what,
            expected: status,
            got: answer.status().as_u16(),
            body: !answer.body().is_empty(),
        });
    }
    Ok(refusals)
}
