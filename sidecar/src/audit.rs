//! The record of every refusal: structured log lines of the target `audit`, with whatever the stages had found out by then and
//! nothing that the client sent. What strangers can cause without end is counted beyond a bound.

mod connections;
mod refusals;
mod tallies;

pub use self::{connections::DroppedConnections, refusals::Refusals};
