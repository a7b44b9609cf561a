//! The sample CRM as a program: the demo and the system tests run it in a pod.

use std::net::SocketAddr;

use clap::Parser;
use tokio::{net::TcpListener, signal::unix};

/// A sample CRM that shows the Telegram updates it receives.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(long, default_value = "0.0.0.0:3000")]
    address: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let listener = TcpListener::bind(args.address).await?;
    println!("sample CRM: POST updates to http://{}/webhooks/telegram", listener.local_addr()?);
    tokio::select! {
        () = telegram_webhook_tests::crm::serve(listener) => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
