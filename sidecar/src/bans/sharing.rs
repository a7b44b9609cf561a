//! Tells the other sidecars of a webhook what this one decides, and follows what they say.
//!
//! Nothing waits for it: with no way to the others each bans for itself. What couldn't be told meanwhile is told later, all bans of our own
//! if that was more than is kept.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    Bans,
    exchange::{Exchange, News},
};
use crate::config::CurrentPolicy;

/// Decisions that are kept until they are told.
pub(super) const MAX_UNTOLD: usize = 1024;
/// Before the next attempt: nobody waits for it.
const PAUSE: Duration = Duration::from_secs(1);

/// Shares bans until told to stop.
pub async fn share<E: Exchange>(
    exchange: E,
    bans: Arc<Bans>,
    policy: CurrentPolicy,
    stop: CancellationToken,
) {
    let news = bans.decisions();
    let sharing = async { tokio::join!(tell(&exchange, &bans, news), follow(&exchange, &bans, &policy)) };
    stop.run_until_cancelled(sharing).await;
}

async fn tell<E: Exchange>(exchange: &E, bans: &Bans, mut decisions: Receiver<News>) {
    let mut late = bans.own();
    loop {
        // those that ended meanwhile are nobody's business any more
        while let Some(news) = late.pop() {
            // that there is no way is said by who follows
            while !bans.is_over(&news) && exchange.tell(&news).await.is_err() {
                sleep(PAUSE).await;
            }
        }
        match decisions.recv().await {
            Ok(news) => late.push(news),
            // too many to keep them: all that hold are told
            Err(RecvError::Lagged(_)) => late = bans.own(),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn follow<E: Exchange>(exchange: &E, bans: &Bans, policy: &CurrentPolicy) {
    let mut is_told = false;
    loop {
        let problem = exchange
            .follow(|news| {
                is_told = false;
                bans.hear(&policy.load(), news);
            })
            .await;
        // once for each outage
        if !is_told {
            tracing::warn!(error = %problem, "bans aren't shared: each sidecar bans for itself");
            is_told = true;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
