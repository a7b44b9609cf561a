//! Hands accepted updates to the CRM.

mod crm;

pub use self::crm::{Crm, Delivered, DeliveryError};
