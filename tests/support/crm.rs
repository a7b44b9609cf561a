//! A sample CRM that records the updates it receives.
