//! The words that head office keeps in databases, messages and logs.

use std::fmt::Debug;

use counterfoil_domain::words::Word;

use crate::{batches::Purpose, coupons::templates, jobs, messages::notify::Channel};

fn reads_back<T: Word + PartialEq + Debug>(words: &[(T, &str)]) {
    for (value, word) in words {
        assert_eq!((value.as_str(), T::parse(word)), (*word, Some(*value)));
    }
    assert_eq!(T::parse(""), None);
}

/// They are stored, so none of them ever changes.
#[test]
fn every_word_is_what_it_was_and_reads_back() {
    reads_back(&[(jobs::Kind::Batch, "batch"), (jobs::Kind::Grant, "grant")]);
    reads_back(&[
        (jobs::Status::Queued, "queued"),
        (jobs::Status::Running, "running"),
        (jobs::Status::Paused, "paused"),
        (jobs::Status::Done, "done"),
        (jobs::Status::Failed, "failed"),
        (jobs::Status::Cancelled, "cancelled"),
    ]);
    reads_back(&[
        (Purpose::Claim, "claim"),
        (Purpose::Print, "print"),
        (Purpose::Grant, "grant"),
    ]);
    reads_back(&[
        (templates::Status::Draft, "draft"),
        (templates::Status::Published, "published"),
        (templates::Status::Retired, "retired"),
    ]);
    reads_back(&[
        (Channel::Inbox, "inbox"),
        (Channel::Webhook, "webhook"),
        (Channel::Email, "email"),
    ]);
}
