//! What is in use is kept, and what nobody needs any more goes: compiled code in memory and in the
//! cache, copies of components that were in use, and drafts that crashes left.
//!
//! The disk is the ledger's too, and a full one stops the gateway: what grows with each change of a
//! component has a bound. What is gone although somebody would have liked to have it is made anew.
//!
//! INVARIANT: nothing goes while a component is being changed, so nothing goes that is about to be
//! used or pointed at.

use std::collections::BTreeSet;
use std::sync::Arc;

use symbolon_host::Digest;

use super::{App, chain, choose};
use crate::catalog::CatalogError;

impl App {
    /// Lets compiled code go that nobody needs, and has the disk looked after.
    pub(super) fn tidy(&self) {
        self.admissions.keep(&self.used());
        self.untidy.notify_one();
    }

    /// Looks after the disk for ever, whenever something has changed.
    pub(super) async fn keep_tidy(self: Arc<Self>) {
        loop {
            self.untidy.notified().await;
            self.keep_copies().await;
            if let Err(error) = Box::pin(self.prune()).await {
                tracing::warn!(error = chain(&error), "the catalog could not be tidied");
            }
        }
    }

    /// The components that run or may come back.
    fn used(&self) -> BTreeSet<Digest> {
        choose::used(&choose::running(&self.line.world.load()))
    }

    async fn keep_copies(&self) {
        let (stock, config) = (self.stock.load_full(), self.config());
        let of = (&*self.foundation.components, &config.plugins.trust);
        stock.adopt(&|| self.used(), of).await;
    }

    async fn prune(&self) -> Result<(), CatalogError> {
        let _changing = self.keys.lock().await;
        let used = self.used();
        self.foundation.components.prune(&used).await?;
        let stock = Box::pin(self.looked(&self.config())).await;
        let known = stock.digests().chain(used).collect();
        self.foundation.host.forget_code(known).await;
        Ok(())
    }
}
