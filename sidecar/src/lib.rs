//! The sidecar: stands in front of the CRM in its own pod, lets in what Telegram sent to one of its webhooks and refuses the rest.
//!
//! The path of a request reads from the names: `server` (banned addresses, PROXY header, TLS) -> `ingress` (its stages, in order) ->
//! `queue` (durable) -> `delivery` (the CRM); `bans` and `audit` serve both of the former. `config` turns the mounted folder, or the file, into the
//! policy that all of them share; `app` starts and stops everything.

pub mod address;
pub mod admin;
pub mod app;
pub mod args;
pub mod audit;
pub mod bans;
pub mod check;
pub mod config;
mod dedup;
pub mod delivery;
pub mod filter_test;
pub mod ingress;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod queue;
pub mod queues;
pub mod server;
mod sliding_window;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod test_util;
