//! The counter app as people use it: its real window, driven from outside, against a head office that is a real
//! process. Every step leaves a picture in `target/screens`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod account;
mod journey;
mod sale;
mod scanner;
mod window;
