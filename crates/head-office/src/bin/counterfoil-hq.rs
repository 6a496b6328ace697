//! Head office's program.
fn main() {}
