//! Where a listing continues: what the backend said, bound to who asked for what.
//!
//! A caller gets the backend's cursor with a tag over it, the principal and the folder. What comes
//! back with another tag never reaches a component, which may trust its own cursors.
//!
//! INVARIANT: a cursor is handed to a backend only if it came from there, in a listing of the same
//! folder for the same principal. It is not a secret, and not a permit: each page is decided anew.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon_core::policy::Permit;

use super::ask::Page;
use super::dispatch::{Delivery, Granted, Undelivered};
use crate::keyring::MacKey;

/// Keeps these tags apart from others under the same key.
const DOMAIN: &str = "listing continuation";
/// Length of a tag.
const TAG_BYTES: usize = 32;

/// The cursor of a page that was asked for.
pub(super) fn open(key: &MacKey, permit: &Permit, page: &Page) -> Result<Page, Undelivered> {
    let Some(text) = &page.0 else { return Ok(Page::default()) };
    let opened = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, cursor) = bytes.split_at_checked(TAG_BYTES)?;
        let is_ours = key.verifies(DOMAIN, &bound(permit, cursor), tag);
        is_ours.then(|| String::from_utf8(cursor.to_vec()).ok()).flatten()
    };
    opened().map(|cursor| Page(Some(cursor))).ok_or(Undelivered::Continuation)
}

/// What was granted, with its cursor bound if it has one.
pub(super) fn seal(key: &MacKey, permit: &Permit, mut granted: Granted) -> Granted {
    if let Delivery::Listing(listing) = &mut granted.delivery
        && let Some(cursor) = listing.next.take()
    {
        let mut bytes = key.tag(DOMAIN, &bound(permit, cursor.as_bytes()));
        bytes.extend_from_slice(cursor.as_bytes());
        listing.next = Some(URL_SAFE_NO_PAD.encode(bytes));
    }
    granted
}

/// Each part with its length before it, so that no two triples are one text.
fn bound(permit: &Permit, cursor: &[u8]) -> Vec<u8> {
    let who = permit.principal().identity().to_string();
    let what = permit.ask().resource.to_string();
    let parts = [who.as_bytes(), what.as_bytes(), cursor];
    parts.iter().flat_map(|part| [&part.len().to_be_bytes()[..], part].concat()).collect()
}
