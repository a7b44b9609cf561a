//! Black-box tests of the sidecar: the real binary behind real sockets and real TLS, a CRM of the test's own behind it.

mod client;
mod crm;
mod fixture;

mod crowd;
mod delivers;
mod lifecycle;
mod refuses;
mod reload;
mod secrets;
mod tls;
