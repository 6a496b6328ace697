//! Head office's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    counterfoil_head_office::cli::main()
}
