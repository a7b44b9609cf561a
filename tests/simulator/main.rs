//! Tests of the Telegram simulator. `observed_*` reproduce each row of what Telegram's own delivery engine was measured to
//! do, `fact_*` what was read in its source: `fact_3_6` is section 3.6 of that reading.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is how a test fails; in helpers too, which the lints take for production code"
)]

mod allowed_updates;
mod answers;
mod bench;
mod builders;
mod connections;
mod control;
mod delivery;
mod get_updates;
mod hijack;
mod http_api;
mod parameters;
mod queue;
mod real_tls;
mod replacement;
mod retries;
mod script;
mod set_webhook;
mod webhook_info;
