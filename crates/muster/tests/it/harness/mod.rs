//! A server process, and clients of it in this process. Owns no expectation of its own: it says what happened.

pub mod amqp;
pub mod device;
pub mod http;
pub mod http2;
pub mod logs;
pub mod mqtt;
pub mod output;
pub mod random;
pub mod server;
pub mod tls;
pub mod victim;

/// Longest time that a test waits for anything: it bounds a hang, and judges nothing.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(200);

/// Runs a test on a runtime of its own, and ends it when it hangs.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert!(tokio::time::timeout(PATIENCE, test).await.is_ok(), "the test hangs");
    });
    runtime.shutdown_background();
}
