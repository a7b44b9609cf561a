//! What an answer or the end of a connection means for its update and for the webhook (reference/telegram.md section 3.6).

use tokio::time::Instant;

use super::{Engine, GONE_FOR, InFlight};
use crate::telegram::{
    bot::LastError, connection::Report, lanes::Failed, record::Outcome, reply, response::Response,
};

const CLOSED: &str = "Webhook connection closed";

impl Engine {
    pub(super) fn on_report(&mut self, id: u64, report: Report) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let in_flight = connection.in_flight.take();
        let same_address = connection.address_generation == self.address_generation;
        match report {
            Report::Answered(response) => {
                if response.keep_alive && same_address {
                    self.idle.push_back(id);
                } else {
                    self.connections.remove(&id);
                }
                self.on_answer(in_flight, &response);
            }
            Report::Ended(error) => {
                self.connections.remove(&id);
                self.idle.retain(|idle| *idle != id);
                if let Some(error) = &error {
                    self.set_last_error(error);
                }
                if let Some(in_flight) = in_flight {
                    self.failed(&in_flight, None, error.as_deref().unwrap_or(CLOSED), 0);
                }
            }
        }
    }

    fn on_answer(&mut self, in_flight: Option<InFlight>, response: &Response) {
        let Some(in_flight) = in_flight else {
            return;
        };
        if response.is_success() {
            self.first_gone = None;
            self.delivered(&in_flight, response);
            return;
        }
        let error = format!("Wrong response from the webhook: {} {}", response.status, response.reason);
        self.set_last_error(&error);
        self.failed(&in_flight, Some(response), &error, response.retry_after);
        if response.status != 410 {
            self.first_gone = None;
            return;
        }
        let now = Instant::now();
        if now > *self.first_gone.get_or_insert(now) + GONE_FOR {
            let mut state = self.bot.lock();
            if state.current(self.setup.generation).is_some() {
                tracing::warn!(bot_id = self.bot.id, "410 for 23 hours: the webhook is deleted");
                state.take_webhook();
            }
            self.closed = true;
        }
    }

    fn delivered(&mut self, in_flight: &InFlight, response: &Response) {
        self.growth.succeeded(Instant::now());
        self.lanes.finished(in_flight.lane);
        let now = self.bot.server.clock.unix();
        let id = in_flight.update_id;
        let mut state = self.bot.lock();
        state.queue.forget(id);
        state.record.ended([id], Outcome::Delivered);
        if let Some(attempt) = state.record.last_attempt(id) {
            attempt.finished_at = Some(now);
            attempt.status = Some(response.status);
            attempt.reason = Some(response.reason.clone());
        }
        if let Some(reply) = reply::find(id, &response.arguments) {
            state.record.replies.push(reply);
        }
    }

    fn failed(&mut self, in_flight: &InFlight, response: Option<&Response>, error: &str, retry_after: i64) {
        let unix_now = self.bot.server.clock.unix();
        let id = in_flight.update_id;
        let then = self.lanes.failed(in_flight.lane, retry_after, Instant::now(), unix_now);
        let mut state = self.bot.lock();
        if let Some(attempt) = state.record.last_attempt(id) {
            attempt.finished_at = Some(unix_now);
            attempt.status = response.map(|response| response.status);
            attempt.reason = response.map(|response| response.reason.clone());
            attempt.error = Some(error.to_owned());
        }
        if then == Failed::Dropped {
            tracing::warn!(bot_id = self.bot.id, update_id = id, error, "drop update");
            state.queue.forget(id);
            state.record.ended([id], Outcome::Dropped);
        }
    }

    fn set_last_error(&self, message: &str) {
        let date = self.bot.server.clock.unix_seconds();
        let mut state = self.bot.lock();
        if state.current(self.setup.generation).is_some_and(|webhook| webhook.verified) {
            state.last_error = Some(LastError { date, message: message.to_owned() });
        }
    }
}
