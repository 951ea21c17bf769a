//! Names the first rule of the protocol that breaks: for the mutants.

use protocol::explore::{first_broken_of, first_endless_of};
use protocol::sets::{progressing, telling};
use std::process::ExitCode;

fn main() -> ExitCode {
    let (runs, progressing) = (telling(), progressing());
    match first_broken_of(&runs).or_else(|| first_endless_of(&progressing)) {
        Some((rule, model)) => {
            println!("{rule}");
            println!("{}, {} faults", model.shape, model.faults);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
