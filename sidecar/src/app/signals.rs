//! The signals that stop a process: the first asks, the second insists.

use std::{future::Future, io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell reports for a process that an interrupt ended.
const EXIT_INSISTED: i32 = 130;

/// Done at the first SIGTERM or SIGINT; the second ends the process at once.
pub fn first_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            tracing::warn!("told to stop a second time: requests under way are cut off");
            process::exit(EXIT_INSISTED);
        });
    })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
