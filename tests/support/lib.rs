//! What the black-box tests, the demo and `cargo xtask` share: a real cluster, a simulator of Telegram, a sample CRM.

pub mod cluster;
pub mod crm;
pub mod sidecar;
pub mod telegram;
