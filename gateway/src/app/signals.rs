//! Signals: what the outside can tell the process.
//!
//! INVARIANT: handlers are installed before anything else is done, and from then on no SIGHUP is
//! deadly and no signal is lost: one that comes while the gateway starts is obeyed when it runs, or
//! ends the start.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::App;

/// The signals that are obeyed. Several of one kind that come at once count as one.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

impl Signals {
    /// Installs the handlers. Needs a runtime.
    ///
    /// # Errors
    /// What the system says, if it takes no handler.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves when the process is told to stop; a SIGHUP waits. Cancel-safe.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Reloads at each SIGHUP, until the process is told to stop.
    pub(super) async fn obey(&mut self, app: &Arc<App>) {
        while self.next().await == Order::Reload {
            // Beside the stop, which must not wait for components to compile, and ends it.
            let reloading = app.clone();
            app.chore(async move { reloading.reload_by_signal().await });
        }
        tracing::info!("draining");
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.hangup.recv() => Order::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Number, getpid, kill_process};

    use super::*;

    /// The only test that signals this process: handlers are the process's, and so are signals.
    #[tokio::test]
    async fn a_signal_from_before_it_is_waited_for_is_obeyed() {
        let mut signals = Signals::install().unwrap();
        kill_process(getpid(), Number::HUP).unwrap();
        assert_eq!(signals.next().await, Order::Reload);
        kill_process(getpid(), Number::HUP).unwrap();
        kill_process(getpid(), Number::TERM).unwrap();
        signals.stop().await;
        assert_eq!(signals.next().await, Order::Reload, "it waited");
    }
}
