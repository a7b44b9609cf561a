//! Real servers, started by the test that needs them and ended with it.

pub mod ports;
pub mod rabbitmq;
pub mod redis;
pub mod redis_groups;
