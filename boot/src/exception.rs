//! Exceptions from host context: the few that are expected, and the report of all others.

use crate::frame::Frame;
use crate::instructions as cpu;
use crate::machine::ThisThread;
use crate::symbols;
use crate::thread::{ThreadBlock, broken_guards, is_stack};
use crate::{SHIM, SYSTEM};
use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, Ordering};
use hypervisor_shim::attend::{Cause, attend};
use hypervisor_shim::control::{Activity, count};
use hypervisor_shim::machine::vector;
use hypervisor_shim::oracle::HOST_DEC;
use power_registers::{Hmer, Tfmr};

/// Handles an exception from host context; called by assembly on the exception stack.
///
/// Returns when the interrupted code may go on.
pub(crate) extern "C" fn opaline_exception(frame: &mut Frame, block: &ThreadBlock) {
    let (pc, msr) = frame.interrupted();
    frame.pc = pc;
    frame.msr = msr;
    match frame.vector {
        0x900 => {
            cpu::set_dec(HOST_DEC as u64);
            if let Some((thread, _)) = crate::shim::this_thread() {
                count(&crate::CONTROL.threads[thread.index].decrementer_interrupts);
            }
        }
        vector::DOORBELL => cpu::clear_doorbell(),
        vector::HMI => maintenance_interrupt(pc, msr),
        _ => report(frame, block),
    }
}

/// An HMI in host context: the shim's protocol if it runs, else the firmware alone.
fn maintenance_interrupt(pc: u64, msr: u64) {
    if let Some(shim) = SHIM.get()
        && let Some((thread, mut machine)) = crate::shim::this_thread()
        && let activity = &shim.status(&thread).activity
        && let before = activity.load(Ordering::Relaxed)
        && before != Activity::Absent as u64
    {
        // No guest of this thread is in TB: interrupts are open in host context only.
        attend(shim, &mut machine, &thread, Cause::InHost(pc, msr), &mut 0);
        activity.store(before, Ordering::Relaxed);
    } else if let Some(system) = SYSTEM.get() {
        opaline_firmware::hmi::handle(&mut ThisThread, system);
    }
}

/// One report at a time; a second thread that fails waits silently.
static REPORTING: AtomicBool = AtomicBool::new(false);

fn name_of(vector: u64) -> &'static str {
    match vector {
        0x100 => "system reset",
        0x200 => "machine check",
        0x300 => "data storage",
        0x380 => "data segment",
        0x400 => "instruction storage",
        0x480 => "instruction segment",
        0x500 => "external",
        0x600 => "alignment",
        0x700 => "program",
        0x800 => "floating-point unavailable",
        0x980 => "hypervisor decrementer",
        0xa00 => "directed privileged doorbell",
        0xc00 => "system call",
        0xd00 => "trace",
        0xe00 => "hypervisor data storage",
        0xe20 => "hypervisor instruction storage",
        0xe40 => "hypervisor emulation assistance",
        0xea0 => "hypervisor virtualization",
        0xf00 => "performance monitor",
        0xf20 => "vector unavailable",
        0xf40 => "VSX unavailable",
        0xf60 => "facility unavailable",
        0xf80 => "hypervisor facility unavailable",
        _ => "reserved",
    }
}

/// Prints everything about an exception that nobody expected, and stops the machine.
fn report(frame: &Frame, block: &ThreadBlock) -> ! {
    if REPORTING.swap(true, Ordering::AcqRel) {
        loop {
            cpu::relax();
        }
    }
    let out = &mut crate::console::Emergency::open();
    let (pc, msr) = frame.interrupted();
    let _ = writeln!(
        out,
        "\nUnexpected exception {:#x} ({}) on PIR {:#x} at {pc:#018x} {}, MSR {msr:#018x}",
        frame.vector,
        name_of(frame.vector),
        block.pir,
        symbols::Name(pc),
    );
    let _ = writeln!(
        out,
        "SRR0 {:016x} SRR1 {:016x} HSRR0 {:016x} HSRR1 {:016x}\n\
         DAR {:016x} DSISR {:08x} HDAR {:016x} HDSISR {:08x} HEIR {:08x}\n\
         LR {:016x} CTR {:016x} CR {:08x} XER {:08x} TB {:016x} DEC {:08x}",
        frame.srr0,
        frame.srr1,
        frame.hsrr0,
        frame.hsrr1,
        frame.dar,
        frame.dsisr,
        frame.hdar,
        frame.hdsisr,
        frame.heir,
        frame.lr,
        frame.ctr,
        frame.cr,
        frame.xer,
        cpu::tb(),
        cpu::dec(),
    );
    let _ = writeln!(
        out,
        "{:?}\n{:?}\nLPCR {:016x} HID0 {:016x} PVR {:08x}",
        Tfmr::from_bits_retain(cpu::tfmr()),
        Hmer::from_bits_retain(cpu::hmer()),
        cpu::lpcr(),
        cpu::hid0(),
        cpu::pvr(),
    );
    for (row, values) in frame.gpr.chunks(4).enumerate() {
        let _ = write!(out, "r{:<2}", row * 4);
        for value in values {
            let _ = write!(out, " {value:016x}");
        }
        let _ = writeln!(out);
    }
    back_trace(out, frame.gpr[1], frame.lr);
    for stack in broken_guards(block.index as usize) {
        let _ = writeln!(out, "The guard of the {stack} stack is overwritten.");
    }
    let _ = writeln!(out, "OPALINE: FAIL unexpected exception");
    cpu::attention();
}

/// Prints the callers that a stack shows, from the innermost.
pub(crate) fn back_trace(out: &mut impl core::fmt::Write, mut stack: u64, link: u64) {
    const LIMIT: u32 = 32;
    let _ = writeln!(out, "Back-trace:\n  {link:#018x} {}", symbols::Name(link));
    for _ in 0..LIMIT {
        if !is_stack(stack) {
            break;
        }
        // SAFETY: `is_stack` checked that this is aligned memory of a thread's stack; it is read
        // as plain numbers.
        let next = unsafe { (stack as *const u64).read_volatile() };
        if next <= stack || !is_stack(next) {
            break;
        }
        // SAFETY: as above; the saved LR is 16 bytes above the back chain, inside the stacks.
        let saved = unsafe { ((next + 16) as *const u64).read_volatile() };
        let _ = writeln!(out, "  {saved:#018x} {}", symbols::Name(saved));
        stack = next;
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if REPORTING.swap(true, Ordering::AcqRel) {
        loop {
            cpu::relax();
        }
    }
    let out = &mut crate::console::Emergency::open();
    let _ = writeln!(out, "\nPIR {:#x}: {info}", cpu::pir());
    let stack: u64;
    // SAFETY: only reads r1.
    unsafe { core::arch::asm!("mr {}, 1", out(reg) stack, options(nomem, nostack)) };
    back_trace(out, stack, panic as *const () as u64);
    let _ = writeln!(out, "OPALINE: FAIL panic");
    cpu::attention();
}
