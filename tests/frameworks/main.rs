//! What people really run behind the sidecar: bot frameworks that check their own secret, and the official libraries that check
//! signatures. Each is installed from its registry and run as a process; Telegram is the simulator, over real TLS.

mod bench;
mod program;
mod queued;
mod replies;
mod signatures;
mod updates;
