//! Black-box tests of the sidecar: the real binary behind real sockets and real TLS, a CRM of the test's own behind it.

mod client;
mod crm;
mod fixture;
mod series;

mod attacks;
mod broker_secrets;
mod client_address;
mod crowd;
mod dedup;
mod delivers;
mod filter_test;
mod filters;
mod lifecycle;
mod limits;
mod queued;
mod refuses;
mod reload;
mod secrets;
mod shared_bans;
mod signature;
mod stand_alone;
mod store_only;
mod table;
mod tls;
