//! The program: see [`nimshift::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nimshift::cli::main()
}
