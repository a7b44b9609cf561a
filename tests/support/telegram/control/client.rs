//! A typed client of the control API over any way to send a request: plain HTTP here, an API server's service proxy
//! where the simulator runs in a pod.

use std::{fmt, future::Future};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    BotRequest, BotView, DeliveryControl, Enqueue, Enqueued, HijackAnswer, HijackCall, TokenAction,
    TokenRequest, WebhookView,
};
use crate::telegram::{
    faults::ApiFault,
    record::{ApiCall, Delivery, Summary},
    reply::Reply,
};

/// Sends a request to the simulator. `path` starts with `/control/` and may hold a query; the answer is the JSON of a 200.
pub trait ControlTransport {
    /// Sends it.
    fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> impl Future<Output = anyhow::Result<Value>> + Send;
}

/// The control API of one bot, or of the only one.
#[derive(Clone, Debug)]
pub struct ControlClient<T> {
    transport: T,
    bot: Option<i64>,
}

impl<T: ControlTransport> ControlClient<T> {
    /// For a simulator of one bot.
    pub fn new(transport: T) -> Self {
        Self { transport, bot: None }
    }

    /// For this bot.
    pub fn for_bot(mut self, bot_id: i64) -> Self {
        self.bot = Some(bot_id);
        self
    }

    /// All bots.
    pub async fn bots(&self) -> anyhow::Result<Vec<BotView>> {
        self.get("bots", &[]).await
    }

    /// Makes a token known.
    pub async fn add_bot(&self, token: &str, username: Option<&str>) -> anyhow::Result<BotView> {
        let request = BotRequest { token: token.to_owned(), username: username.map(str::to_owned) };
        self.post("bots", &request).await
    }

    /// Makes updates.
    pub async fn enqueue(&self, updates: &Enqueue) -> anyhow::Result<Enqueued> {
        self.post("updates", updates).await
    }

    /// Every update with its tries.
    pub async fn deliveries(&self) -> anyhow::Result<Vec<Delivery>> {
        self.get("deliveries", &[]).await
    }

    /// Those with a failed try.
    pub async fn refusals(&self) -> anyhow::Result<Vec<Delivery>> {
        self.get("refusals", &[]).await
    }

    /// Numbers over all.
    pub async fn summary(&self) -> anyhow::Result<Summary> {
        self.get("summary", &[]).await
    }

    /// Calls of the Bot API, of one method or of all.
    pub async fn calls(&self, method: Option<&str>) -> anyhow::Result<Vec<ApiCall>> {
        let query: Vec<_> = method.map(|method| ("method", method.to_owned())).into_iter().collect();
        self.get("calls", &query).await
    }

    /// Bot API calls found in answers.
    pub async fn replies(&self) -> anyhow::Result<Vec<Reply>> {
        self.get("replies", &[]).await
    }

    /// The webhook slot with its secrets.
    pub async fn webhook(&self) -> anyhow::Result<WebhookView> {
        self.get("webhook", &[]).await
    }

    /// Lets calls of the Bot API fail.
    pub async fn inject(&self, fault: &ApiFault) -> anyhow::Result<()> {
        self.post("faults", fault).await
    }

    /// Faults not used up yet.
    pub async fn faults(&self) -> anyhow::Result<Vec<ApiFault>> {
        self.get("faults", &[]).await
    }

    /// No more faults.
    pub async fn clear_faults(&self) -> anyhow::Result<()> {
        self.post("faults/clear", &Value::Null).await
    }

    /// Pauses, resumes, or lets deliveries fail.
    pub async fn control_delivery(&self, request: &DeliveryControl) -> anyhow::Result<()> {
        self.post("delivery", request).await
    }

    /// Revokes or restores the bot's tokens.
    pub async fn set_token(&self, action: TokenAction) -> anyhow::Result<()> {
        self.post("token", &TokenRequest { action }).await
    }

    /// Calls a method as another holder of the token.
    pub async fn hijack(&self, call: &HijackCall) -> anyhow::Result<HijackAnswer> {
        self.post("hijack", call).await
    }

    /// Looks every host up anew.
    pub async fn forget_names(&self) -> anyhow::Result<()> {
        self.post("names/forget", &Value::Null).await
    }

    /// Forgets everything but the tokens.
    pub async fn reset(&self) -> anyhow::Result<()> {
        self.post("reset", &Value::Null).await
    }

    async fn get<A: DeserializeOwned>(&self, name: &str, query: &[(&str, String)]) -> anyhow::Result<A> {
        let answer = self.transport.call(Method::GET, &self.path(name, query), None).await?;
        serde_json::from_value(answer).with_context(|| format!("can't read the answer of {name}"))
    }

    async fn post<A: DeserializeOwned>(&self, name: &str, body: &impl Serialize) -> anyhow::Result<A> {
        let body = match serde_json::to_value(body)? {
            Value::Null => None,
            body => Some(body),
        };
        let answer = self.transport.call(Method::POST, &self.path(name, &[]), body).await?;
        serde_json::from_value(answer).with_context(|| format!("can't read the answer of {name}"))
    }

    fn path(&self, name: &str, query: &[(&str, String)]) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        if let Some(bot) = self.bot {
            pairs.append_pair("bot", &bot.to_string());
        }
        pairs.extend_pairs(query);
        let query = pairs.finish();
        if query.is_empty() { format!("/control/{name}") } else { format!("/control/{name}?{query}") }
    }
}

/// Plain HTTP.
#[derive(Clone)]
pub struct HttpTransport {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("base", &self.base).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// To a simulator at `http://host:port`.
    pub fn new(base: impl Into<String>) -> Self {
        Self { base: base.into(), client: Client::builder(TokioExecutor::new()).build_http() }
    }
}

impl ControlTransport for HttpTransport {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = self.client.request(request).await.context("can't reach the simulator")?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{status} from {path}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
