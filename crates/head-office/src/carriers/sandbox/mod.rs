//! A carrier to try everything with: a real HTTP server in this program, which can be told to fail in every way that
//! carriers do, and the adapter that speaks to it.

mod adapter;
mod faults;
mod server;
mod state;

pub use adapter::Sandbox;
pub use faults::{Control, Fault, Odds, Planned, Question};
pub use server::serve;
pub use state::{Known, Shown};
