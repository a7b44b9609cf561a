//! What the operator brings to a cluster, against real tools: the resource's rules at a real API server, the chart in a real helm.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod chart;
mod rules;
