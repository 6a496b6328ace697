//! The sub-commands that need neither a window nor a database. Each writes machine-readable lines on stdout, messages
//! on stderr, and says how it ended.

pub mod bindings;
pub mod doctor;
pub mod qr;
pub mod quote;
pub mod scan;

use std::process::ExitCode;

/// How a command ended, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// What was asked for can't be done: a usage or input error.
    BadInput,
    /// Anything else: a full disk, a closed pipe.
    Failed,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        ExitCode::from(match ending {
            Ending::Done => 0,
            Ending::Failed => 1,
            Ending::BadInput => 2,
        })
    }
}
