//! The promises, each a test that any queue can be put to.

pub mod capacity;
pub mod closing;
pub mod copies;
pub mod dead_letters;
pub mod hands;
pub mod lanes;
pub mod outage;
pub mod shared;
pub mod soak;
pub mod storing;
