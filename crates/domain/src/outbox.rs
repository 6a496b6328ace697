//! Messages from one part of head office to another: written with what causes them, handed over until they are confirmed.

use crate::transition::tables::Fact;

/// A message that a command leaves behind. It commits with what the command changes, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What kind of message it is, and thereby who consumes it.
    pub topic: &'static str,
    /// What it is about: messages of one topic and key are handed over one after the other, in the order in which they
    /// were written. Those of other keys never wait for them.
    pub key: String,
    /// What causes it: of one topic and source there is one message, for as long as it is remembered.
    pub source: String,
    /// JSON, as its consumer reads it.
    pub body: String,
}

impl Fact for Outgoing {}
