//! Fuzz target: the records of leases and of orders to end them, and everything that is done with one
//! that was read: times at the ends of time overflow nowhere, what is written again reads the same.

use std::process::ExitCode;

use symbolon::store::record::{Record, decode, encode};
use symbolon_core::clock::Timestamp;
use symbolon_core::id::LeaseId;
use symbolon_core::lease::{Cause, Confirmed, Evidence, Lease, Phase, SealedHandle, index};
use symbolon_fuzz::{Target, drive};

const TERMS: &str = r#""id":"01KAT5XXXXXXXXXXXXXXXXXXXX","issuer":"prod","subject":"system:serviceaccount:a:b","backend":"pg","role":"readonly","maker":{"plugin":"postgres","version":"0.1.0","digest":"sha256:00"},"recovery":"named","reserved_at":1793520000000,"issue_by":1793520030000,"ends_by":1793521800000,"token":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","revision":2,"state":"#;
const STATES: [&str; 5] = [
    r#""reserved""#,
    r#"{"active":{"handle":"AQID","activated_at":1793520005000,"expires_at":1793520600000,"renewals":0,"renewable":true,"revocable":true}}"#,
    r#"{"revoking":{"handle":"AQID","cause":"expired","since":1793520600000,"ends_at":1793520600000,"revocable":true,"attempts":3,"next_attempt_at":1793520604000,"certain_from":1793520600000}}"#,
    r#"{"revoking":{"handle":null,"cause":"lost_answer","since":1793520031000,"ends_at":null,"revocable":true,"attempts":0,"next_attempt_at":1793520031000,"certain_from":1793520330000}}"#,
    r#"{"revoked":{"cause":"owner","since":1793520010000,"ends_at":1793520600000,"revoked_at":1793520011000,"attempts":1,"proof":"verified"}}"#,
];
const WORDS: &[&str] = &[
    "\"recovery\":{\"expires\":{\"within_millis\":18446744073709551615}}",
    "\"listable\"",
    "\"carrier\":\"01KAT5XXXXXXXXXXXXXXXXXXXX\",",
    "\"carries\":\"rotate\",",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967295",
    "\"probed\"",
    "null",
    "true",
    "false",
    "\"\"",
    "\"AA==\"",
    "\"cascade\"",
    "\"forced\"",
    ",",
    "{",
    "}",
];

fn main() -> ExitCode {
    let version = char::from(Lease::VERSION);
    let seeds = STATES.map(|state| format!("{version}{{{TERMS}{state}}}").into_bytes()).to_vec();
    drive(&Target { name: "lease_record", seeds, words: WORDS, check })
}

fn check(input: &[u8]) -> bool {
    let Ok(lease) = decode::<Lease>(input) else { return false };
    let again = encode(&lease).ok().and_then(|bytes| decode::<Lease>(&bytes).ok());
    assert_eq!(again.as_ref(), Some(&lease), "written again");
    let id = lease.terms().id;
    let entries = index::entries(&lease);
    assert!(entries.iter().all(|(_, key)| index::lease_of(key) == Some(id)));
    let due = entries.iter().find(|(place, _)| *place == index::Place::Due);
    let (queue, time) = (index::Queue::of(lease.terms()), lease.due_at());
    // Before 1970 there was no lease: such a time is due at once.
    let time = time.max(Timestamp::from_millis(0));
    assert_eq!(due.and_then(|(_, key)| index::due_of(key)), Some((queue, time)));
    for now in [i64::MIN, 0, 1_793_520_300_000, i64::MAX].map(Timestamp::from_millis) {
        follow(lease.clone(), now);
    }
    true
}

/// Everything that may come next.
fn follow(lease: Lease, now: Timestamp) {
    let before = lease.clone();
    let (revision, phase) = lease.into_parts();
    let next: Phase = match phase {
        Phase::Reserved(lease) => lease.condemn(None, Cause::LostAnswer, now).into(),
        Phase::Active(lease) => match lease.clone().renew(now, now) {
            Ok(renewed) => renewed.with_handle(SealedHandle::default()).into(),
            Err(_) => match lease.leave(Cause::Expired, now) {
                Ok(revoked) => revoked.into(),
                Err(lease) => lease.revoke(Cause::Expired, now).into(),
            },
        },
        Phase::Revoking(lease) => {
            match lease.clone().since_start(now).confirmed(Evidence::Verified, now) {
                Confirmed::Gone(revoked) => revoked.into(),
                Confirmed::LookAgain(_) => lease.failed(now).into(),
            }
        }
        Phase::Revoked(lease) => {
            let _ = lease.forget_at();
            lease.into()
        }
    };
    let after = Lease::following(revision, next);
    let _ = index::changes(Some(&before), Some(&after));
    let _: LeaseId = after.terms().id;
}
