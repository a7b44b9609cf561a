//! Prints the CustomResourceDefinition of `TelegramWebhook` as YAML.

use std::process::ExitCode;

fn main() -> ExitCode {
    match telegram_webhook_crds::crd_yaml() {
        Ok(yaml) => {
            print!("{yaml}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("crdgen: {error}");
            ExitCode::FAILURE
        }
    }
}
