//! Hands accepted updates to the CRM: `dispatcher` takes them from the queue and says what becomes of each, `crm` asks the CRM.

mod backoff;
mod breaker;
mod crm;
mod dispatcher;
mod reply;
mod sign;

pub use self::{
    backoff::{Random, RetryAfter},
    breaker::BreakerState,
    crm::{Crm, Delivered, DeliveryError},
    dispatcher::{Dispatcher, Recipient, Settled, Settlements, keep_house},
    reply::{Reply, Withheld},
};
