//! Names the first rule of the protocol that breaks: for the mutants.

use protocol::explore::first_broken_of;
use protocol::sets::telling;
use std::process::ExitCode;

fn main() -> ExitCode {
    let runs = telling();
    match first_broken_of(&runs) {
        Some((rule, model)) => {
            println!("{rule}");
            println!("{}, {} faults", model.shape, model.faults);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
