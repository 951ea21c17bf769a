//! What was expected against what was found.

use super::case::{Case, Kind};
use super::expect::{EventCase, Flag, Time};
use super::play::Found;
use super::register::Named;
use super::trace;
use crate::campaign::honest;
use hardware_model::{Access, Register};
use opal_abi::hmi_flags;
use power_registers::chip_tod::TodRegister;
use power_registers::{Hmer, TbState, Tfmr, ibm, ibm_range};

const FLAGS: [(Flag, &str, u64); 5] = [
    (Flag::TbResync, "tb-resync", hmi_flags::TB_RESYNC),
    (Flag::DecLost, "dec-lost", hmi_flags::DEC_LOST),
    (Flag::HdecLost, "hdec-lost", hmi_flags::HDEC_LOST),
    (Flag::TodTbFail, "tod-tb-fail", hmi_flags::TOD_TB_FAIL),
    (Flag::NewEvent, "new-event", hmi_flags::NEW_EVENT),
];

/// Everything that must not be left in TFMR.
const LEFT: u64 = Tfmr::CORE_ERRORS.bits()
    | Tfmr::THREAD_ERRORS.bits()
    | Tfmr::COMMANDS.bits()
    | Tfmr::CHIP_TOD_INTERRUPT.bits()
    | ibm(54)
    | ibm(56)
    | ibm_range(61, 62);

/// Kinds that by themselves make no event.
const SILENT: [Kind; 14] = [
    Kind::Timebase,
    Kind::TodTime,
    Kind::TodDead,
    Kind::Scom,
    Kind::Xscom,
    Kind::XscomHealed,
    Kind::CommandsFail,
    Kind::Asleep,
    Kind::Awake,
    Kind::LostWakeup,
    Kind::EngineBlocked,
    Kind::OscillatorDead,
    Kind::SlavePathDead,
    Kind::Hmer,
];

/// The differences, one line each.
#[must_use]
pub fn compare(case: &Case, found: &Found) -> Vec<String> {
    if case.expect.timebase == Some(Time::Judged) {
        return honest(case, found).err().into_iter().collect();
    }
    let mut wrong = found.wrong.clone();
    let machine = &found.bench.machine;
    let accesses = machine.trace();
    if !found.unplaced.is_empty() && !case.expect.unplaced {
        wrong.push(format!(
            "threads that never were where they should be: {:?}",
            found.unplaced
        ));
    }
    for index in &found.never_struck {
        wrong.push(format!(
            "fault {} never struck: its moment did not come",
            index + 1
        ));
    }
    if found.lost != 0 {
        wrong.push(format!("events lost: expected none, found {}", found.lost));
    }
    events(case, found, &mut wrong);
    answers(case, found, &mut wrong);
    timebases(case, found, &mut wrong);
    tods(case, found, &mut wrong);
    for violation in machine.violations() {
        if !case
            .expect
            .violations
            .iter()
            .any(|rule| rule == violation.rule)
        {
            wrong.push(format!(
                "rule broken by thread {} at access {}: {} ({:#x})",
                violation.thread, violation.number, violation.rule, violation.value
            ));
        }
    }
    counts(case, &accesses, &mut wrong);
    let base = machine.configuration().base();
    for golden in &case.expect.traces {
        wrong.extend(trace::compare(golden, &case.shape, &accesses, base));
    }
    if let Some(most) = case.expect.most_ticks
        && found.ticks > most
    {
        wrong.push(format!(
            "ticks: expected at most {most}, found {}",
            found.ticks
        ));
    }
    if let Some(resyncs) = case.expect.resyncs
        && resyncs != found.resyncs
    {
        wrong.push(format!(
            "resyncs: expected {resyncs}, found {}",
            found.resyncs
        ));
    }
    wrong
}

/// An event as found.
pub(super) fn describe(message: &[u8]) -> String {
    let word = |at: usize| u64::from_be_bytes(message[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().expect("4 bytes"));
    let stop = if message[32] != 0 || half(36) != 0 || half(40) != 0 {
        format!(
            ", xstop {} reason {:#x} place {:#x}",
            message[32],
            half(36),
            half(40)
        )
    } else {
        String::new()
    };
    format!(
        "event type {} severity {} {} hmer {:#018x} tfmr {:#018x}{stop}",
        message[10],
        message[9],
        if message[11] == 0 {
            "recovered"
        } else {
            "NOT recovered"
        },
        word(16),
        word(24),
    )
}

/// Bytes in hex; blanks and bars do not count.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '|')
        .collect();
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok())
        .collect()
}

fn fits(expected: &EventCase, message: &[u8]) -> bool {
    let word = |at: usize| u64::from_be_bytes(message[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().expect("4 bytes"));
    message[10] == expected.event_type
        && expected
            .severity
            .is_none_or(|severity| severity == message[9])
        && (message[11] == 0) == expected.recovered
        && expected
            .hmer
            .is_none_or(|hmer| hmer.0 == word(16) & !Hmer::XSCOM_MAILBOX.bits())
        && expected
            .tfmr_has
            .is_none_or(|has| word(24) & has.0 == has.0)
        && expected.xstop_type.is_none_or(|kind| kind == message[32])
        && expected
            .xstop_reason
            .is_none_or(|reason| reason == half(36))
        && expected.place.is_none_or(|place| place == half(40))
        && (expected.bytes.as_deref().and_then(bytes)).is_none_or(|bytes| bytes == message[8..48])
}

fn events(case: &Case, found: &Found, wrong: &mut Vec<String>) {
    let mut left: Vec<&[u8]> = found.messages.iter().map(<[u8; 72]>::as_slice).collect();
    for message in &left {
        let head = u64::from_be_bytes(message[..8].try_into().expect("8 bytes"));
        if head != 4 << 32 | 40 || message[8] != 2 {
            wrong.push(format!("not an HMI event of version 2: {head:#x}"));
        }
    }
    if case.expect.events.is_none() && case.expect.timebase == Some(Time::Honest) {
        return;
    }
    let Some(expected) = &case.expect.events else {
        for message in &left {
            if message[11] != 0 {
                wrong.push(format!(
                    "expected that all is recovered, found {}",
                    describe(message)
                ));
            }
        }
        let loud = case
            .faults
            .iter()
            .filter(|fault| !SILENT.contains(&fault.kind))
            .count();
        let most = case.faults.len() * case.shape.all_cores();
        let least = case.expect.least_events.unwrap_or(usize::from(loud != 0));
        if !(least..=most).contains(&left.len()) {
            wrong.push(format!(
                "events: expected {least} to {most}, found {}",
                left.len()
            ));
        }
        return;
    };
    for event in expected {
        for _ in 0..event.count {
            match left.iter().position(|message| fits(event, message)) {
                Some(at) => drop(left.remove(at)),
                None => wrong.push(format!("an event that is missing: {event:?}")),
            }
        }
    }
    for message in left {
        wrong.push(format!("an event too many: {}", describe(message)));
    }
}

fn names(flags: u64) -> String {
    let set: Vec<&str> = FLAGS
        .iter()
        .filter(|(_, _, bits)| flags & bits != 0)
        .map(|(_, name, _)| *name)
        .collect();
    format!("[{}]", set.join(", "))
}

/// What is expected of TB of a core.
fn time_of(case: &Case, core: usize) -> Time {
    let own = case
        .expect
        .cores
        .iter()
        .find(|expected| expected.core == core);
    own.map(|expected| expected.timebase)
        .or(case.expect.timebase)
        .unwrap_or(Time::Exact)
}

fn answers(case: &Case, found: &Found, wrong: &mut Vec<String>) {
    for (thread, calls) in found.calls.iter().enumerate() {
        for (code, _) in calls {
            if *code != opal_abi::SUCCESS {
                wrong.push(format!(
                    "OPAL_HANDLE_HMI2 of thread {thread} answered {code}"
                ));
            }
        }
        let failed = calls
            .last()
            .is_some_and(|(_, flags)| flags & hmi_flags::TOD_TB_FAIL != 0);
        let time = time_of(case, thread / case.shape.threads);
        let tfmr = found.bench.machine.tfmr(thread);
        let invalid = match time {
            Time::Honest => !tfmr.contains(Tfmr::TB_VALID),
            _ => time == Time::Invalid,
        };
        let fails = invalid && found.alive[thread] && !calls.is_empty();
        // A thread that is honest may doubt a good TB, but not the other way round.
        let doubts = time == Time::Honest && !fails;
        if time != Time::Any && failed != fails && !doubts {
            wrong.push(format!(
                "thread {thread}: tod-tb-fail: expected {fails}, found {failed}"
            ));
        }
        let all = calls.iter().fold(0, |all, (_, flags)| all | flags);
        for expected in case
            .expect
            .flags
            .iter()
            .filter(|expected| found.alive[thread] && expected.who.means(&case.shape, thread))
        {
            let named = |wanted: Flag| expected.are.contains(&wanted);
            let bits = FLAGS.iter().filter(|(flag, _, _)| named(*flag));
            let bits = bits.fold(0, |all, (_, _, bits)| all | bits);
            let ignored = if named(Flag::NewEvent) {
                0
            } else {
                hmi_flags::NEW_EVENT
            };
            if all & !ignored != bits {
                let (bits, all) = (names(bits), names(all & !ignored));
                wrong.push(format!(
                    "thread {thread}: flags: expected {bits}, found {all}"
                ));
            }
        }
    }
}

fn timebases(case: &Case, found: &Found, wrong: &mut Vec<String>) {
    let machine = &found.bench.machine;
    let base = machine.configuration().base();
    let truth = machine.true_time();
    let mut common = None;
    for (thread, alive) in found.alive.iter().enumerate() {
        let hmer = machine.hmer(thread) - Hmer::XSCOM_MAILBOX;
        let left = hmer.bits() & !case.expect.hmer_left.0;
        let stopped = machine.checkstopped(thread / case.shape.threads);
        if *alive && !stopped && left != 0 && !is_idle(case, thread) {
            let left = Hmer::from_bits_retain(left);
            wrong.push(format!(
                "thread {thread}: HMER: expected nothing, found {left:?}"
            ));
        }
        let tfmr = machine.tfmr(thread);
        let runs = tfmr.contains(Tfmr::TB_VALID) && tfmr.state() == TbState::Running;
        let time = time_of(case, thread / case.shape.threads);
        if matches!(time, Time::Any) || time == Time::Honest && !runs {
            continue;
        }
        if runs == (time == Time::Invalid) {
            let wanted = if runs { "not valid" } else { "running" };
            wrong.push(format!(
                "thread {thread}: TB: expected {wanted}, found {tfmr:?}"
            ));
            continue;
        }
        if time == Time::Invalid {
            continue;
        }
        let left = tfmr.bits() & LEFT & !case.expect.tfmr_left.0;
        if left != 0 && time != Time::Honest {
            let left = Tfmr::from_bits_retain(left);
            wrong.push(format!(
                "thread {thread}: TFMR: expected no error, found {left:?}"
            ));
        }
        let control = tfmr.bits() & Tfmr::CONTROL.bits();
        if control != base {
            wrong.push(format!(
                "thread {thread}: TFMR control: expected {base:#x}, found {control:#x}"
            ));
        }
        let timebase = machine.timebase(thread);
        let off = timebase.wrapping_sub(truth) as i64;
        let good = match time {
            Time::Exact | Time::Honest => off == 0,
            Time::Within(ticks) => off.unsigned_abs() <= ticks,
            _ => timebase >= found.time_struck,
        };
        if !good {
            wrong.push(format!(
                "thread {thread}: TB: expected {time:?}, found {off} ticks off"
            ));
        } else if *common.get_or_insert(timebase) != timebase {
            wrong.push(format!(
                "thread {thread}: TB is not that of the first thread"
            ));
        }
    }
}

fn is_idle(case: &Case, thread: usize) -> bool {
    let entry = case
        .threads
        .iter()
        .rev()
        .find(|entry| entry.who.means(&case.shape, thread));
    entry.is_some_and(|entry| entry.doing == super::Doing::Idle)
}

fn tods(case: &Case, found: &Found, wrong: &mut Vec<String>) {
    let machine = &found.bench.machine;
    for chip in 0..case.shape.chips {
        let read = |register: TodRegister| {
            machine
                .peek_scom(chip, register.address())
                .unwrap_or_default()
        };
        let error = read(TodRegister::Error);
        let fsm = read(TodRegister::Fsm);
        let runs = fsm & power_registers::chip_tod::FSM_RUNNING != 0;
        let expected = case.expect.tods.iter().find(|tod| tod.chip == chip);
        let Some(expected) = expected else {
            let mask = read(TodRegister::ErrorMask);
            let good = !matches!(
                time_of(case, chip * case.shape.cores),
                Time::Invalid | Time::Any | Time::Honest
            );
            if good && (!runs || error & !mask != 0) {
                wrong.push(format!(
                    "chip {chip}: TOD: expected running without error, found ERROR {error:#018x} FSM {fsm:#018x}"
                ));
            }
            continue;
        };
        if let Some(bits) = expected.error
            && bits.0 != error
        {
            wrong.push(format!(
                "chip {chip}: TOD ERROR: expected {bits:?}, found {error:#018x}"
            ));
        }
        if let Some(code) = expected.fsm
            && u64::from(code) != fsm >> 60
        {
            wrong.push(format!(
                "chip {chip}: TOD FSM: expected {code}, found {}",
                fsm >> 60
            ));
        }
        if let Some(running) = expected.running
            && running != runs
        {
            wrong.push(format!(
                "chip {chip}: TOD running: expected {running}, found {runs}"
            ));
        }
    }
    // The configuration of the TODs must be what it was, unless the case says otherwise.
    for (chip, address, before) in &found.registers_before {
        let listed = case.expect.registers.iter();
        if listed
            .clone()
            .any(|own| own.chip == *chip && own.address == *address)
        {
            continue;
        }
        let now = machine.peek_scom(*chip, *address).unwrap_or_default();
        if now != *before && time_of(case, chip * case.shape.cores) != Time::Any {
            wrong.push(format!(
                "chip {chip}: SCOM {address:#07x}: expected {before:#018x}, found {now:#018x}"
            ));
        }
    }
    for expected in &case.expect.registers {
        let before = found.registers_before.iter();
        let before = before
            .clone()
            .find(|(chip, address, _)| *chip == expected.chip && *address == expected.address);
        let value = expected
            .value
            .map(|value| value.0)
            .or(before.map(|(_, _, value)| *value));
        let mask = expected.mask.map_or(u64::MAX, |mask| mask.0);
        let now = machine.peek_scom(expected.chip, expected.address);
        if now.map(|now| now & mask) != value.map(|value| value & mask) {
            wrong.push(format!(
                "chip {}: SCOM {:#07x}: expected {value:#018x?}, found {now:#018x?}",
                expected.chip, expected.address
            ));
        }
    }
}

fn counts(case: &Case, accesses: &[Access], wrong: &mut Vec<String>) {
    for expected in &case.expect.counts {
        let Some(register) = Named::parse(&expected.register) else {
            continue;
        };
        let here = |chip: usize| expected.chip.is_none_or(|only| only == chip);
        let reads = accesses.iter().filter(|access| match access.register {
            Register::ScomRead { chip, address } => here(chip) && register == Named::Scom(address),
            _ => false,
        });
        let reads = reads.count();
        let writes = accesses.iter().filter(|access| {
            let chip_fits = match access.register {
                Register::ScomWrite { chip, .. } => here(chip),
                _ => true,
            };
            chip_fits && trace::written(access) == Some(register)
        });
        let writes = writes.count();
        if let Some(wanted) = expected.reads
            && wanted != reads
        {
            wrong.push(format!(
                "{register}: expected {wanted} reads, found {reads}"
            ));
        }
        if let Some(most) = expected.most_reads
            && reads > most
        {
            wrong.push(format!(
                "{register}: expected at most {most} reads, found {reads}"
            ));
        }
        if let Some(wanted) = expected.writes
            && wanted != writes
        {
            wrong.push(format!(
                "{register}: expected {wanted} writes, found {writes}"
            ));
        }
    }
}
