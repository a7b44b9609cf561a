//! One runtime and one installation for all tests of a process. A test's own runtime would take the connections of a shared
//! client with it when it ends.

use std::{future::Future, sync::LazyLock};

use tokio::{runtime::Runtime, sync::OnceCell};

use crate::installation::Installation;

static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(Runtime::new);
static INSTALLATION: OnceCell<Installation> = OnceCell::const_new();

/// Runs `test` with the installation, which the first caller brings up.
///
/// # Panics
/// With the error of the installation or of the test.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn with_installation<F, Fut, T>(test: F) -> T
where
    F: FnOnce(&'static Installation) -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
{
    let runtime = match &*RUNTIME {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let outcome = runtime.block_on(async {
        test(INSTALLATION.get_or_try_init(|| Installation::up(&|what| eprintln!("{what}"))).await?).await
    });
    outcome.unwrap_or_else(|error| panic!("{error:#}"))
}
