//! The sample CRM as a program: the demo and the system tests run it in a pod.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use http::Uri;
use telegram_webhook_tests::crm;
use tokio::{net::TcpListener, signal::unix};

/// A sample CRM that shows the Telegram updates it receives.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(long, default_value = "0.0.0.0:3000")]
    address: SocketAddr,
    /// URL of another one: an update is accepted once that one has accepted it.
    #[arg(long)]
    collector: Option<Uri>,
    /// Milliseconds that it has to do with an update after that.
    #[arg(long, default_value_t = 0, requires = "collector")]
    busy_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let listener = TcpListener::bind(args.address).await?;
    println!(
        "sample CRM: POST updates to http://{}{UPDATES}",
        listener.local_addr()?,
        UPDATES = crm::UPDATES
    );
    let serve = async {
        match args.collector {
            Some(collector) => crm::serve_for(listener, collector, Duration::from_millis(args.busy_ms)).await,
            None => crm::serve(listener).await,
        }
    };
    tokio::select! {
        () = serve => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
