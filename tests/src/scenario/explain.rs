//! The steps of a run, thread by thread.

use super::play::Found;
use super::trace;
use hardware_model::Register;
use power_registers::{Hmer, Tfmr};
use std::fmt::Write as _;

/// What each thread did: the flight recorder, and what it wrote and read by SCOM.
#[must_use]
pub fn explain(found: &Found) -> String {
    let mut text = String::new();
    let machine = &found.bench.machine;
    let base = machine.configuration().base();
    let accesses = machine.trace();
    let threads = machine.configuration().threads();
    // Writing to a string cannot fail.
    for thread in 0..threads {
        let mut steps: Vec<_> = found.bench.recorder().records(thread).collect();
        steps.sort_by_key(|step| step.sequence);
        let own: Vec<_> = accesses
            .iter()
            .filter(|access| access.thread == thread)
            .collect();
        if steps.is_empty() && own.is_empty() {
            continue;
        }
        let core = machine.configuration().core_of(thread);
        let _ = writeln!(
            text,
            "thread {thread} (core {core}, PIR {:#x})",
            machine.configuration().pir(thread)
        );
        for step in steps {
            let _ = writeln!(
                text,
                "  {:>5} {:<16} TB {:#018x} {:?} {:?} [{:#x}, {:#x}]",
                step.sequence,
                format!("{:?}", step.step),
                step.timebase,
                Tfmr::from_bits_retain(step.tfmr),
                Hmer::from_bits_retain(step.hmer),
                step.arguments[0],
                step.arguments[1],
            );
        }
        for access in own {
            let what = match access.register {
                Register::ScomRead { chip, address } => {
                    format!("chip {chip} {address:#07x} read {:#018x}", access.value)
                }
                Register::ScomWrite { chip, .. } => match trace::written(access) {
                    Some(register) => {
                        format!("chip {chip} {}", trace::line(register, access.value, base))
                    }
                    None => continue,
                },
                Register::Spr(_) => match trace::written(access) {
                    Some(register) => trace::line(register, access.value, base),
                    None => continue,
                },
            };
            let _ = writeln!(text, "  access {:>6}: {what}", access.number);
        }
        for (code, flags) in &found.calls[thread] {
            let _ = writeln!(text, "  OPAL_HANDLE_HMI2 answered {code}, flags {flags:#x}");
        }
        let _ = writeln!(
            text,
            "  at the end TB {:#x} ({} off) {:?} {:?}",
            machine.timebase(thread),
            machine.timebase(thread).wrapping_sub(machine.true_time()) as i64,
            machine.tfmr(thread),
            machine.hmer(thread)
        );
    }
    for (number, message) in found.messages.iter().enumerate() {
        let _ = writeln!(
            text,
            "event {}: {}",
            number + 1,
            super::compare::describe(message)
        );
    }
    text
}
