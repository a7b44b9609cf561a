use std::sync::Mutex;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{
    super::stored::{Accepted, Refused},
    ensure::{LONGEST_REFUSAL, REFUSAL_HOLDS},
    *,
};
use crate::{
    fixtures::telegram::{Answer, FakeTelegram, bot},
    telegram::WebhookParameters,
};

/// Remembers what was recorded.
#[derive(Default)]
struct FakeLedger {
    recorded: Mutex<Vec<Accepted>>,
    refused: Mutex<Option<Refused>>,
}

impl Ledger for FakeLedger {
    fn record<'a>(&'a self, accepted: &'a Accepted) -> BoxFuture<'a, Result<(), kubernetes::Error>> {
        self.recorded.lock().unwrap().push(accepted.clone());
        Box::pin(async { Ok(()) })
    }

    fn refuse<'a>(&'a self, refused: &'a Refused) -> BoxFuture<'a, Result<(), kubernetes::Error>> {
        *self.refused.lock().unwrap() = Some(refused.clone());
        Box::pin(async { Ok(()) })
    }
}

impl FakeLedger {
    /// As if it had been so long ago.
    fn age_refusal(&self, age: Duration) {
        self.refused.lock().unwrap().as_mut().unwrap().at -= age;
    }

    fn slots(&self) -> Vec<i64> {
        self.recorded.lock().unwrap().iter().map(|accepted| accepted.slot).collect()
    }
}

/// Slot `id` with a path and a secret named after it.
fn slot(id: i64) -> Accepted {
    Accepted {
        api_server: "https://api.telegram.org".into(),
        bot_id: 123_456,
        slot: id,
        parameters: WebhookParameters {
            url: format!("https://hooks.example.com/telegram/path-{id}"),
            secret_token: format!("secret-{id}"),
            max_connections: 40,
            ip_address: None,
            allowed_updates: vec![],
        },
    }
}

/// Two successive passes share memory, as within one process.
struct Passes {
    memory: Memory,
    ledger: FakeLedger,
}

impl Passes {
    fn new() -> Self {
        Self { memory: Memory::default(), ledger: FakeLedger::default() }
    }

    async fn ensure(
        &self,
        api: &FakeTelegram,
        wanted: &Accepted,
        accepted: Option<&Accepted>,
    ) -> Result<Outcome, Error> {
        self.ensure_with(api, wanted, accepted, true).await
    }

    async fn ensure_with(
        &self,
        api: &FakeTelegram,
        wanted: &Accepted,
        accepted: Option<&Accepted>,
        serves_certificate: bool,
    ) -> Result<Outcome, Error> {
        let telegram = Telegram { api, memory: &self.memory, uid: "uid" };
        let bot = bot();
        telegram.identify(&bot).await?;
        let refused = self.ledger.refused.lock().unwrap().clone();
        let situation = Situation { accepted, refused: refused.as_ref(), serves_certificate };
        telegram.ensure(&self.ledger, &bot, wanted, situation).await
    }
}

fn refusal() -> ApiError {
    ApiError::BadRequest("bad webhook: Failed to resolve host".into())
}

#[tokio::test(start_paused = true)]
async fn the_first_registration_asks_who_the_bot_is_tells_everything_and_reads_it_back() {
    let (api, passes) = (FakeTelegram::default(), Passes::new());
    let outcome = passes.ensure(&api, &slot(1), None).await;
    assert_eq!(outcome, Ok(Outcome::Set(Why::New)));
    assert_eq!(api.calls(), ["getMe", "getWebhookInfo", "setWebhook", "getWebhookInfo"]);
    assert_eq!(passes.ledger.slots(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_set_again_what_is_in_place() {
    let api = FakeTelegram::default().having(&slot(1).parameters);
    for _restart in 0..5 {
        let passes = Passes::new();
        assert_eq!(passes.ensure(&api, &slot(1), Some(&slot(1))).await, Ok(Outcome::Kept));
        assert_eq!(api.calls(), ["getMe", "getWebhookInfo"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_pass_does_not_ask_again_whose_token_it_is() {
    let (api, passes) = (FakeTelegram::default().having(&slot(1).parameters), Passes::new());
    for _ in 0..2 {
        passes.ensure(&api, &slot(1), Some(&slot(1))).await.unwrap();
    }
    assert_eq!(api.calls(), ["getMe", "getWebhookInfo", "getWebhookInfo"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_erased_the_working_webhook_is_followed_by_putting_it_back() {
    let api = FakeTelegram::with([Answer::Erases(refusal())]).having(&slot(1).parameters);
    let passes = Passes::new();
    let error = passes.ensure(&api, &slot(2), Some(&slot(1))).await.unwrap_err();
    assert!(matches!(error, Error::Refused { working: true, .. }), "{error:?}");
    assert_eq!(api.url(), slot(1).parameters.url);
    assert_eq!(api.secrets_set(), ["secret-2", "secret-1"]);
    // what Telegram refused is not written down as accepted
    assert!(passes.ledger.slots().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refused_parameters_are_not_tried_again_at_the_cost_of_the_working_webhook() {
    let api = FakeTelegram::with([Answer::Erases(refusal())]).having(&slot(1).parameters);
    let mut passes = Passes::new();
    let first = passes.ensure(&api, &slot(2), Some(&slot(1))).await.unwrap_err();
    api.calls();
    // not even by another process
    passes.memory = Memory::default();
    let second = passes.ensure(&api, &slot(2), Some(&slot(1))).await.unwrap_err();
    assert_eq!(api.calls(), ["getMe", "getWebhookInfo"]);
    assert_eq!(first.to_string(), second.to_string());
    // until Telegram may have forgotten its failed look-up
    passes.ledger.age_refusal(REFUSAL_HOLDS);
    assert_eq!(passes.ensure(&api, &slot(2), Some(&slot(1))).await, Ok(Outcome::Set(Why::Changed)));
}

#[tokio::test(start_paused = true)]
async fn a_lasting_refusal_touches_the_working_webhook_ever_more_seldom() {
    let api = FakeTelegram::default().having(&slot(1).parameters);
    let passes = Passes::new();
    let minute = Duration::from_mins(1);
    let mut pauses = Vec::new();
    for _ in 0..11 {
        api.state().answers.push_back(Answer::Erases(refusal()));
        passes.ensure(&api, &slot(2), Some(&slot(1))).await.unwrap_err();
        let holds = |age| {
            let mut refused = passes.ledger.refused.lock().unwrap().clone().unwrap();
            refused.at -= age;
            refused.holds(&slot(2), true, Timestamp::now())
        };
        let mut pause = REFUSAL_HOLDS;
        while holds(pause) {
            pause += minute;
        }
        pauses.push(pause.as_secs() / 60);
        passes.ledger.age_refusal(pause);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
    assert_eq!(LONGEST_REFUSAL, minute * 1440);
}

#[tokio::test(start_paused = true)]
async fn a_first_webhook_is_tried_again_every_five_minutes() {
    let (api, passes) = (FakeTelegram::default(), Passes::new());
    for _ in 0..5 {
        api.state().answers.push_back(Answer::Untouched(refusal()));
        passes.ensure(&api, &slot(1), None).await.unwrap_err();
        passes.ledger.age_refusal(REFUSAL_HOLDS);
    }
    assert_eq!(api.secrets_set().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_put_back_at_once_is_put_back_by_the_next_pass() {
    let down = || Answer::Untouched(ApiError::Server(502));
    let api = FakeTelegram::with([Answer::Erases(refusal()), down(), down(), down(), down()])
        .having(&slot(1).parameters);
    let passes = Passes::new();
    let error = passes.ensure(&api, &slot(2), Some(&slot(1))).await.unwrap_err();
    assert!(matches!(error, Error::Refused { working: false, .. }), "{error:?}");
    assert_eq!(api.url(), "");
    let error = passes.ensure(&api, &slot(2), Some(&slot(1))).await.unwrap_err();
    assert!(matches!(error, Error::Refused { working: true, .. }), "{error:?}");
    assert_eq!(api.url(), slot(1).parameters.url);
}

#[tokio::test(start_paused = true)]
async fn putting_back_waits_for_the_flood_limit() {
    let wait = Duration::from_secs(1);
    let api =
        FakeTelegram::with([Answer::Erases(refusal()), Answer::Untouched(ApiError::TooManyRequests(wait))])
            .having(&slot(1).parameters);
    let started = Instant::now();
    let error = Passes::new().ensure(&api, &slot(2), Some(&slot(1))).await.unwrap_err();
    assert!(matches!(error, Error::Refused { working: true, .. }), "{error:?}");
    assert!(started.elapsed() >= wait);
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_the_same_call_is_repeated() {
    let api = FakeTelegram::with([Answer::Lost(ApiError::Timeout)]).having(&slot(1).parameters);
    let passes = Passes::new();
    let outcome = passes.ensure(&api, &slot(2), Some(&slot(1))).await;
    assert_eq!(outcome, Ok(Outcome::Set(Why::Changed)));
    assert_eq!(api.secrets_set(), ["secret-2", "secret-2"]);
    assert_eq!(passes.ledger.slots(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_erased_the_webhook_is_followed_by_putting_it_back() {
    for error in [ApiError::Timeout, ApiError::Transport, ApiError::Server(502), ApiError::Malformed] {
        let api = FakeTelegram::with([Answer::Erases(error.clone())]).having(&slot(1).parameters);
        let failed = Passes::new().ensure(&api, &slot(2), Some(&slot(1))).await;
        assert_eq!(failed, Err(Error::Api(error)));
        assert_eq!(api.url(), slot(1).parameters.url);
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_is_waited_for_by_the_next_pass_and_touches_nothing() {
    let wait = Duration::from_secs(17);
    let api =
        FakeTelegram::with([Answer::Untouched(ApiError::TooManyRequests(wait))]).having(&slot(1).parameters);
    let error = Passes::new().ensure(&api, &slot(2), Some(&slot(1))).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after()), (Reason::RateLimited, Some(wait)));
    assert_eq!(api.secrets_set(), ["secret-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_not_used_again_for_ten_minutes() {
    for rejection in [ApiError::Unauthorized, ApiError::NotFound] {
        let api = FakeTelegram::default();
        api.state().get_me = Some(Err(rejection));
        let passes = Passes::new();
        for _ in 0..3 {
            assert_eq!(passes.ensure(&api, &slot(1), None).await, Err(Error::TokenRejected));
        }
        assert_eq!(api.calls(), ["getMe"]);
        tokio::time::advance(Duration::from_mins(10)).await;
        api.state().get_me = None;
        assert_eq!(passes.ensure(&api, &slot(1), None).await, Ok(Outcome::Set(Why::New)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_revoked_later_is_noticed() {
    let (api, passes) = (FakeTelegram::default().having(&slot(1).parameters), Passes::new());
    passes.ensure(&api, &slot(1), Some(&slot(1))).await.unwrap();
    api.state().info_error = Some(ApiError::Unauthorized);
    api.calls();
    for _ in 0..2 {
        assert_eq!(passes.ensure(&api, &slot(1), Some(&slot(1))).await, Err(Error::TokenRejected));
    }
    assert_eq!(api.calls(), ["getWebhookInfo"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_for_another_bot_is_told_nothing() {
    let api = FakeTelegram::default();
    api.state().get_me = Some(Ok(BotUser { id: 7, username: None }));
    assert_eq!(Passes::new().ensure(&api, &slot(1), None).await, Err(Error::OtherBot(7)));
    assert_eq!(api.calls(), ["getMe"]);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_somebody_deleted_or_replaced_is_set_again() {
    let other = WebhookParameters { url: "https://elsewhere.example.com/".into(), ..slot(1).parameters };
    for (api, why) in
        [(FakeTelegram::default(), Why::Erased), (FakeTelegram::default().having(&other), Why::Replaced)]
    {
        let outcome = Passes::new().ensure(&api, &slot(1), Some(&slot(1))).await;
        assert_eq!(outcome, Ok(Outcome::Set(why)));
        assert_eq!(api.url(), slot(1).parameters.url);
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_bot_had_is_neither_kept_nor_put_back() {
    let former = Accepted { bot_id: 99, ..slot(1) };
    let api = FakeTelegram::with([Answer::Erases(refusal())]);
    let error = Passes::new().ensure(&api, &slot(1), Some(&former)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { working: false, .. }), "{error:?}");
    assert_eq!(api.secrets_set(), ["secret-1"]);
}

#[tokio::test(start_paused = true)]
async fn with_another_certificate_at_the_sidecars_nothing_new_is_told_and_what_worked_is_kept() {
    let waiting = Ok(Outcome::Waiting(Reason::CertificateNotLoaded));
    let with_old = async |api: &FakeTelegram, wanted: i64, accepted: Option<i64>| {
        let accepted = accepted.map(slot);
        Passes::new().ensure_with(api, &slot(wanted), accepted.as_ref(), false).await
    };
    let nothing = FakeTelegram::default();
    assert_eq!(with_old(&nothing, 1, None).await, waiting);
    assert!(nothing.secrets_set().is_empty());
    let working = FakeTelegram::default().having(&slot(1).parameters);
    assert_eq!(with_old(&working, 2, Some(1)).await, waiting);
    assert_eq!(with_old(&working, 1, Some(1)).await, Ok(Outcome::Kept));
    assert!(working.secrets_set().is_empty());
    let erased = FakeTelegram::default();
    assert_eq!(with_old(&erased, 2, Some(1)).await, waiting);
    assert_eq!(erased.secrets_set(), ["secret-1"]);
}

#[tokio::test(start_paused = true)]
async fn other_kinds_of_update_are_told_with_the_same_url_and_secret() {
    let of_kinds = |kinds: &[&str]| {
        let mut accepted = slot(1);
        accepted.parameters.allowed_updates = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        accepted
    };
    let api = FakeTelegram::default().having(&of_kinds(&["message"]).parameters);
    let passes = Passes::new();
    let mut before = of_kinds(&["message"]);
    for kinds in [&["message", "poll"][..], &["poll"], &[]] {
        let wanted = of_kinds(kinds);
        assert_eq!(passes.ensure(&api, &wanted, Some(&before)).await, Ok(Outcome::Set(Why::Changed)));
        assert_eq!(api.state().info.allowed_updates.clone().unwrap_or_default(), kinds);
        assert_eq!(passes.ensure(&api, &wanted, Some(&wanted)).await, Ok(Outcome::Kept));
        before = wanted;
    }
    assert_eq!(api.secrets_set(), ["secret-1", "secret-1", "secret-1"]);
    assert_eq!(api.url(), slot(1).parameters.url);
    // somebody who sets the same webhook without the kinds is noticed
    api.state().info.allowed_updates = Some(vec!["message".into()]);
    assert_eq!(passes.ensure(&api, &before, Some(&before)).await, Ok(Outcome::Set(Why::Replaced)));
}

#[test]
fn errors_hold_no_secret() {
    let shown = format!("{:?} {:?}", slot(1), Error::TokenRejected);
    assert!(!shown.contains("secret-1") && !shown.contains("path-1"), "{shown}");
}
