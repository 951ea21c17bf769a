//! What the run comes to: each guest's verdict, printed as the OS would print it, and the end.

use crate::guest::{CLOBBERED, ShimThread, opal_console_write};
use crate::instructions as cpu;
use crate::{CONTROL, SHIM};
use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU64, Ordering};
use hypervisor_shim::attend::{fetch_events, timebase_failed};
use hypervisor_shim::machine::Machine as _;
use opal_abi::Token;
use opaline_firmware::platform::Generation;
use opaline_firmware::system::System;

/// A line that goes out through OPAL in one call where it fits.
struct Line {
    bytes: [u8; 256],
    used: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.used..];
        let taken = text.len().min(room.len());
        room[..taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.used += taken;
        Ok(())
    }
}

fn say(text: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; 256],
        used: 0,
    };
    let _ = line.write_fmt(text);
    let _ = line.write_str("\n");
    opal_console_write(&line.bytes[..line.used]);
}

fn read(word: &AtomicU64) -> u64 {
    word.load(Ordering::Acquire)
}

/// Prints the verdicts and ends the run: power off if all is well, `attn` if not.
pub(crate) fn finish(system: &System<'_>) -> ! {
    let header = &CONTROL.header;
    header.phase.store(2, Ordering::Release);
    let mut faults: u64 = 0;
    let mut fail = |why: fmt::Arguments<'_>| {
        faults += 1;
        say(format_args!("  failed: {why}"));
    };
    let mut machine = ShimThread {
        generation: Generation::Power9,
        core: 0,
    };
    let Some(shim) = SHIM.get() else {
        cpu::attention()
    };
    fetch_events(shim, &mut machine);
    for status in &CONTROL.threads {
        let Some(pir) = read(&status.pir_plus_one).checked_sub(1) else {
            continue;
        };
        say(format_args!(
            "PIR {pir:#05x}: guest offset {:+#x}: {} entries, {} checks of guest time, largest \
             step {} us, largest skew {} ticks; {} checks of host time; exits: {} hcall, {} HDEC, \
             {} doorbell, {} HMI; {} HMIs",
            read(&status.offset) as i64,
            read(&status.entries),
            read(&status.guest_checks),
            read(&status.guest_largest_step) / 512,
            read(&status.guest_largest_skew),
            read(&status.host_checks),
            read(&status.hcall_exits),
            read(&status.hdec_exits),
            read(&status.doorbell_exits),
            read(&status.hmi_exits),
            read(&status.hmis),
        ));
        if read(&status.guest_failures) != 0 {
            fail(format_args!(
                "guest time, {} times; first {:#x} then {:#x}",
                read(&status.guest_failures),
                read(&status.guest_before),
                read(&status.guest_after)
            ));
        }
        if read(&status.host_failures) != 0 {
            fail(format_args!(
                "host time, {} times; first expected TB + DEC {:#x}, found {:#x}",
                read(&status.host_failures),
                read(&status.host_before),
                read(&status.host_after)
            ));
        }
        if read(&status.guest_checks) == 0 || read(&status.host_checks) == 0 {
            fail(format_args!("no check was made"));
        }
        if read(&status.expired_waits) != 0 {
            fail(format_args!(
                "{} waits ran out",
                read(&status.expired_waits)
            ));
        }
        if read(&status.other_exits) != 0 {
            fail(format_args!("{} unknown exits", read(&status.other_exits)));
        }
        if shim.configuration.tfmr_meaningful
            && read(&status.hmis) != 0
            && timebase_failed(read(&status.flags))
        {
            fail(format_args!("the firmware says that TB is dead"));
        }
    }
    say(format_args!(
        "HMI epochs {}, events {} of which not recovered {}, lost {}, resyncs by a claimant {}",
        read(&header.epochs),
        read(&header.events),
        read(&header.events_unrecovered),
        system.events.lost(),
        read(&header.resyncs),
    ));
    say(format_args!(
        "TB of {} threads, by lock and read: {} handovers; largest step back {} ticks, largest \
         disagreement {} ticks to within {}; {} measurements, {} given up; ever: {} and {} ticks",
        read(&header.skew_threads),
        read(&header.skew_handovers),
        read(&header.skew_step_back),
        read(&header.skew_disagreement),
        read(&header.skew_doubt),
        read(&header.skew_done),
        read(&header.skew_given_up),
        read(&header.skew_largest_step_back),
        read(&header.skew_largest_disagreement),
    ));
    if read(&header.skew_done) == read(&header.skew_given_up) {
        fail(format_args!("no measurement of skew came to its end"));
    }
    let apart = read(&header.skew_largest_step_back).max(read(&header.skew_largest_disagreement));
    if apart > shim.configuration.apart_ticks() {
        fail(format_args!(
            "TB of two threads was {apart} ticks apart; at most {} are allowed",
            shim.configuration.apart_ticks()
        ));
    }
    if !shim.configuration.timebase_trusted(&mut machine) {
        fail(format_args!("TB is not valid: {:?}", machine.tfmr()));
    }
    if shim.configuration.tfmr_meaningful && !shim.configuration.external {
        let inflicted = read(&header.epochs);
        if read(&header.events) == 0 || read(&header.events) > inflicted {
            fail(format_args!(
                "{} events in {inflicted} epochs",
                read(&header.events)
            ));
        }
        if read(&header.events_unrecovered) != 0 {
            fail(format_args!(
                "{} not recovered",
                read(&header.events_unrecovered)
            ));
        }
    }
    if system.events.lost() != 0 {
        fail(format_args!("{} events lost", system.events.lost()));
    }
    match crate::start::OPAL_FAILURES.load(Ordering::Acquire) {
        0 => {}
        failed => fail(format_args!(
            "{failed} OPAL calls with an unexpected answer"
        )),
    }
    if read(&CLOBBERED) != 0 {
        fail(format_args!(
            "{} registers changed by OPAL calls",
            read(&CLOBBERED)
        ));
    }
    for index in 0..CONTROL.threads.len() {
        for stack in crate::thread::broken_guards(index) {
            fail(format_args!(
                "the guard of the {stack} stack of thread {index} is overwritten"
            ));
        }
    }
    if faults == 0 {
        header.phase.store(3, Ordering::Release);
        say(format_args!("OPALINE: PASS"));
        // The call may have to be made again while the controller is busy; it does not return
        // once the machine is off.
        for _ in 0..1_000_000 {
            machine.call_opal(Token::CecPowerDown, [0; 8]);
            cpu::relax();
        }
        say(format_args!("OPALINE: FAIL the machine does not power off"));
    } else {
        header.phase.store(4, Ordering::Release);
        say(format_args!("OPALINE: FAIL {faults} checks failed"));
    }
    cpu::attention();
}
