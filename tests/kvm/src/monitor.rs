//! From the command line to the verdict.

use crate::guest;
use crate::kvm::{Failure, Stop, Vcpu};
use crate::system::{Errno, clock, exists, say, timebase};
use core::{ffi::CStr, fmt};
use kvm_guest::arguments::{Arguments, CLOCKS};
use kvm_guest::verdict::{HostClocks, HostTime, Report, Verdict};

/// Memory of the guest, which begins with its program. No page of any size is larger.
const MEMORY_BYTES: u64 = 2 << 20;
/// 64 bits, machine checks enabled, little-endian; no translation. It opens interrupts itself.
const MSR: u64 = 1 << 63 | 1 << 12 | 1;
/// Longest path of the file that ends us.
const MOST_PATH: usize = 64;
/// Reports between two looks for that file.
const LOOK_EVERY: u64 = 16;

/// Runs the guest; whether all was right.
pub(crate) fn run(words: &[&str]) -> bool {
    if let [CLOCKS, until] = words {
        return watch_clocks(until);
    }
    let arguments = match Arguments::parse(words) {
        Ok(arguments) => arguments,
        Err(error) => {
            say(format_args!("kvm-guest: {error}\n"));
            return false;
        }
    };
    let mut path = [0; MOST_PATH];
    let Some(until) = path_of(arguments.until, &mut path) else {
        say(format_args!("kvm-guest: the file's name is too long\n"));
        return false;
    };
    let mut vcpu = match start(&arguments) {
        Ok(vcpu) => vcpu,
        Err((what, error)) => {
            say(format_args!("kvm-guest: {what}: {error}\n"));
            return false;
        }
    };
    let mut verdict = Verdict::new(arguments.offset);
    let ended = watch(&mut vcpu, &mut verdict, until);
    say(format_args!("KVM guest, {verdict}\n"));
    if let Err(why) = ended {
        say(format_args!("kvm-guest: the guest ended: {why}\n"));
        return false;
    }
    verdict.is_good()
}

/// Watches the host's clocks without a guest; whether they were right.
fn watch_clocks(until: &str) -> bool {
    let mut path = [0; MOST_PATH];
    let Some(until) = path_of(until, &mut path) else {
        say(format_args!("clocks: the file's name is too long\n"));
        return false;
    };
    let mut clocks = HostClocks::new();
    for round in 0_u64.. {
        if round.is_multiple_of(LOOK_EVERY) && exists(until) {
            break;
        }
        match now() {
            Ok(now) => clocks.look(now),
            Err(why) => {
                say(format_args!("clocks: {why}\n"));
                return false;
            }
        }
    }
    let verdict = if clocks.is_good() { "right" } else { "WRONG" };
    say(format_args!("Clocks {verdict}: {clocks}\n"));
    clocks.is_good()
}

fn path_of<'a>(text: &str, place: &'a mut [u8; MOST_PATH]) -> Option<&'a CStr> {
    place
        .get_mut(..text.len())?
        .copy_from_slice(text.as_bytes());
    CStr::from_bytes_until_nul(place).ok()
}

fn start(arguments: &Arguments<'_>) -> Result<Vcpu, Failure> {
    let vcpu = Vcpu::create(guest::program(), MEMORY_BYTES, arguments.controller)?;
    let mut registers = vcpu.registers()?;
    registers.pc = guest::ENTRY;
    registers.msr = MSR;
    registers.gpr[guest::ROUNDS_REGISTER] = arguments.rounds.get();
    vcpu.set_registers(registers)?;
    vcpu.take_interrupts_little_endian()?;
    vcpu.set_timebase_offset(arguments.offset)?;
    Ok(vcpu)
}

/// Why the guest does not go on.
#[derive(Debug)]
enum End {
    /// It stopped, but not for a hypercall.
    Stopped(Stop),
    /// It made a hypercall that it does not know.
    Hypercall(u64),
    /// The kernel does not tell the time.
    Clock(Errno),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(stop) => stop.fmt(f),
            Self::Hypercall(number) => write!(f, "it made hypercall {number:#x}"),
            Self::Clock(error) => write!(f, "the kernel does not tell the time: {error}"),
        }
    }
}

fn now() -> Result<HostTime, End> {
    let before = timebase();
    let nanoseconds = clock().map_err(End::Clock)?;
    Ok(HostTime {
        before,
        nanoseconds,
        after: timebase(),
    })
}

fn watch(vcpu: &mut Vcpu, verdict: &mut Verdict, until: &CStr) -> Result<(), End> {
    for round in 0_u64.. {
        if round.is_multiple_of(LOOK_EVERY) && exists(until) {
            break;
        }
        let before = now()?;
        let call = vcpu.run().map_err(End::Stopped)?;
        let after = now()?;
        if call.number != guest::REPORT {
            return Err(End::Hypercall(call.number));
        }
        let [
            timebase,
            steps_back,
            largest_step,
            fallen,
            risen,
            interrupts,
            early,
            late,
            _,
        ] = call.arguments;
        let report = Report {
            timebase,
            steps_back,
            largest_step,
            fallen: fallen as i64,
            risen: risen as i64,
            interrupts,
            early: early as i64,
            late: late as i64,
        };
        verdict.hear(before, report, after);
    }
    Ok(())
}
