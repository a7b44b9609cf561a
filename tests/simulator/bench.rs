//! A simulator with one bot whose webhook is a [`Script`], in one runtime with a paused clock.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use telegram_webhook_tests::telegram::{
    Options, Simulator,
    answer::ApiAnswer,
    arguments::Arguments,
    bot::Bot,
    control::Enqueue,
    methods::Reaction,
    record::{Delivery, Outcome},
};
use tokio::time::{Instant, sleep};

use crate::script::{Action, Received, Script, ScriptedNetwork};

pub const TOKEN: &str = "123456:a-token-that-opens-nothing";
pub const HOST: &str = "hook.example.com";
pub const ADDRESS: &str = "149.154.160.1";
pub const URL: &str = "https://hook.example.com/hook";

pub struct Bench {
    pub simulator: Simulator,
    pub bot: Arc<Bot>,
    pub script: Arc<Script>,
    pub network: Arc<ScriptedNetwork>,
}

pub fn install_crypto() {
    // fails only when another test has installed it
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
}

impl Bench {
    /// An empty slot.
    pub fn idle(answering: impl Fn(&Received) -> Action + Send + Sync + 'static) -> Self {
        Self::with_options(answering, false)
    }

    pub fn with_options(
        answering: impl Fn(&Received) -> Action + Send + Sync + 'static,
        local: bool,
    ) -> Self {
        install_crypto();
        let script = Script::new(answering);
        let network = ScriptedNetwork::new(Arc::clone(&script));
        network.name(HOST, &[ADDRESS]);
        let simulator = Simulator::new(Options { local, ca_file: None, network: Arc::clone(&network) as _ })
            .expect("roots");
        let bot = simulator.add_bot(TOKEN, None).expect("token");
        Self { simulator, bot, script, network }
    }

    /// With the webhook set.
    pub async fn start(answering: impl Fn(&Received) -> Action + Send + Sync + 'static) -> Self {
        Self::start_with(answering, &[]).await
    }

    pub async fn start_with(
        answering: impl Fn(&Received) -> Action + Send + Sync + 'static,
        parameters: &[(&str, &str)],
    ) -> Self {
        let bench = Self::idle(answering);
        let parameters: Vec<_> = [("url", URL)].iter().chain(parameters).copied().collect();
        assert_eq!(bench.call("setWebhook", &parameters).await.description(), "Webhook was set");
        bench
    }

    pub async fn call(&self, method: &str, parameters: &[(&str, &str)]) -> ApiAnswer {
        self.call_with(method, &Arguments::from_pairs(parameters.iter().copied())).await
    }

    pub async fn call_with(&self, method: &str, arguments: &Arguments) -> ApiAnswer {
        match self.simulator.call_with(TOKEN, method, arguments).await {
            Reaction::Answer(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    /// setWebhook after the flood limit's second.
    pub async fn set(&self, parameters: &[(&str, &str)]) -> String {
        sleep(Duration::from_secs(1)).await;
        self.call("setWebhook", parameters).await.description()
    }

    pub async fn info(&self) -> Value {
        self.call("getWebhookInfo", &[]).await.json()["result"].clone()
    }

    pub async fn last_error(&self) -> Option<String> {
        self.info().await["last_error_message"].as_str().map(str::to_owned)
    }

    /// One message per chat named, in that order.
    pub fn enqueue(&self, chats: &[i64]) -> Vec<i64> {
        self.make(&Enqueue { count: chats.len(), chats: chats.to_vec(), ..Enqueue::default() })
    }

    pub fn make(&self, updates: &Enqueue) -> Vec<i64> {
        self.simulator.enqueue(&self.bot, updates).expect("updates").update_ids
    }

    /// Delivers one update, so that connections may grow.
    pub async fn warm_up(&self) {
        let id = self.enqueue(&[77])[0];
        sleep(Duration::from_millis(10)).await;
        assert_eq!(self.delivery(id).outcome, Outcome::Delivered, "warm-up");
    }

    /// The same where answers take a while.
    pub async fn warm_up_slowly(&self) {
        let id = self.enqueue(&[77])[0];
        sleep(Duration::from_secs(2)).await;
        assert_eq!(self.delivery(id).outcome, Outcome::Delivered, "warm-up");
    }

    pub async fn run_for(&self, seconds: f64) {
        sleep(Duration::from_secs_f64(seconds)).await;
    }

    pub fn delivery(&self, update_id: i64) -> Delivery {
        self.bot.lock().record.deliveries[&update_id].clone()
    }

    pub fn pending(&self) -> usize {
        self.bot.lock().queue.len()
    }

    /// Requests that carried this update.
    pub fn requests(&self, update_id: i64) -> Vec<Received> {
        let mut received = self.script.received();
        received.retain(|request| request.update_id == update_id);
        received
    }

    /// Seconds from each try of the update to the next.
    pub fn gaps(&self, update_id: i64) -> Vec<f64> {
        let requests = self.requests(update_id);
        requests.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64()).collect()
    }
}

/// Tokio's clock ticks in milliseconds, and each request passes a few tasks.
pub fn assert_near(actual: &[f64], expected: &[f64]) {
    let near =
        actual.len() >= expected.len() && actual.iter().zip(expected).all(|(a, e)| (a - e).abs() < 0.05);
    assert!(near, "got {actual:?}, expected {expected:?}");
}

/// Requests in each second from `start`.
pub fn per_second(received: &[Received], start: Instant) -> Vec<usize> {
    let mut counts = Vec::new();
    for request in received {
        let second = (request.at - start).as_secs_f64().floor();
        let second = (0..3600_u16).find(|known| f64::from(*known) >= second).unwrap_or_default();
        let second = usize::from(second);
        if counts.len() <= second {
            counts.resize(second + 1, 0);
        }
        counts[second] += 1;
    }
    counts
}
