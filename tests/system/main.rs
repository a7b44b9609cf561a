//! The whole path on a real cluster: chart installed, pods injected, updates sent by a simulator of Telegram and received by
//! a CRM. Every test is a scenario in a namespace of its own; `support/installation.rs` names them all.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admission;
mod deletion;
mod delivery;
mod fallback;
mod mistakes;
mod registration;
mod rolling;
mod shared_pod;
mod world;
