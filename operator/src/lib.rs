//! The operator: keeps Telegram webhooks as `TelegramWebhook` resources declare them (`reconcile`), and injects the sidecar
//! that receives them (`admission`).
#![deny(missing_docs)]

pub mod admin;
pub mod admission;
pub mod app;
pub mod args;
pub mod controller;
pub mod dns;
pub mod events;
pub mod fallback;
#[cfg(test)]
mod fixtures;
pub mod http;
pub mod kubernetes;
pub mod leader;
pub mod metrics;
pub mod place;
pub mod pods;
pub mod reconcile;
pub mod server;
pub mod telegram;
