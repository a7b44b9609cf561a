//! What the black-box tests, the demo and `cargo xtask` share: a real cluster, a simulator of Telegram, a sample CRM.

pub mod binaries;
pub mod cluster;
pub mod crm;
pub mod forgery;
pub mod installation;
pub mod leaks;
pub mod ledger;
pub mod manifest;
pub mod namespace;
pub mod pki;
pub mod pod_http;
pub mod scenario;
pub mod servers;
pub mod shared;
pub mod sidecar;
pub mod telegram;
pub mod tools;
pub mod wait;
