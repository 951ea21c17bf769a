//! The machine under the program: assembly, blocks and stacks of threads, and all `unsafe`.

use core::arch::{asm, global_asm};
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use fdt::Fdt;
use opal_payload::bench::{self, Measured};
use opal_payload::client::{Answer, Client, LOW_PLACE, SCRATCH_WORDS};
use opal_payload::conformance;
use opal_payload::console::Console;
use opal_payload::line::print;
use opal_payload::tree::MAX_THREADS;

const STACK_BYTES: usize = 64 << 10;
/// The vectors from 0x100 on.
const VECTORS_BYTES: usize = 0x1f00;
/// LR, CR, r1, r2, r13 to r31.
const SAVED: usize = 4 + 19;

/// What belongs to one thread. Assembly reads and writes it, so every field is a doubleword that
/// anybody may write.
#[repr(C)]
struct Block {
    /// End of the thread's stack; 0 means that of the boot thread.
    stack: AtomicU64,
    /// The call is under way.
    in_call: AtomicU64,
    entry: AtomicU64,
    base: AtomicU64,
    token: AtomicU64,
    /// Bits of MSR that the call is made with, beside those that every call has.
    msr: AtomicU64,
    arguments: [AtomicU64; 8],
    result: AtomicU64,
    /// Registers that a call did not preserve, summed up by [`Client::call`].
    clobbered: AtomicU64,
    /// Vector of an exception in the call, or 0.
    exception: AtomicU64,
    srr0: AtomicU64,
    hsrr0: AtomicU64,
    saved: [AtomicU64; SAVED],
    /// What a thread does beside the boot thread: [`ABSENT`], [`IDLE`], or a job.
    job: AtomicU64,
}

/// Not started.
const ABSENT: u64 = 0;
/// Waits for a job.
const IDLE: u64 = u64::MAX;

#[repr(C, align(4096))]
struct Scratch([AtomicU64; SCRATCH_WORDS]);

#[repr(C, align(128))]
struct Stack([AtomicU64; STACK_BYTES / 8]);

static BLOCKS: [Block; MAX_THREADS] = [const { Block::new() }; MAX_THREADS];
static SCRATCH: [Scratch; MAX_THREADS] =
    [const { Scratch([const { AtomicU64::new(0) }; SCRATCH_WORDS]) }; MAX_THREADS];
static STACKS: [Stack; MAX_THREADS] =
    [const { Stack([const { AtomicU64::new(0) }; STACK_BYTES / 8]) }; MAX_THREADS];
/// The block of the thread that starts next.
static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);
/// The firmware: its base and its entry.
static FIRMWARE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static CLOBBERED: AtomicU64 = AtomicU64::new(0);

impl Block {
    const fn new() -> Self {
        Self {
            stack: AtomicU64::new(0),
            in_call: AtomicU64::new(0),
            entry: AtomicU64::new(0),
            base: AtomicU64::new(0),
            token: AtomicU64::new(0),
            msr: AtomicU64::new(0),
            arguments: [const { AtomicU64::new(0) }; 8],
            result: AtomicU64::new(0),
            clobbered: AtomicU64::new(0),
            exception: AtomicU64::new(0),
            srr0: AtomicU64::new(0),
            hsrr0: AtomicU64::new(0),
            saved: [const { AtomicU64::new(0) }; SAVED],
            job: AtomicU64::new(ABSENT),
        }
    }
}

global_asm!(
    include_str!("start.S"),
    first_block = sym BLOCKS,
    next_block = sym NEXT_BLOCK,
    stacks = sym STACKS,
    stack_bytes = const STACK_BYTES,
    main = sym crate::main,
    thread = sym thread,
    fault = sym fault,
    vectors_bytes = const VECTORS_BYTES,
    stack = const offset_of!(Block, stack),
    in_call = const offset_of!(Block, in_call),
    entry = const offset_of!(Block, entry),
    base = const offset_of!(Block, base),
    token = const offset_of!(Block, token),
    msr = const offset_of!(Block, msr),
    arguments = const offset_of!(Block, arguments),
    result = const offset_of!(Block, result),
    clobbered = const offset_of!(Block, clobbered),
    exception = const offset_of!(Block, exception),
    srr0 = const offset_of!(Block, srr0),
    hsrr0 = const offset_of!(Block, hsrr0),
    saved = const offset_of!(Block, saved),
);

unsafe extern "C" {
    fn payload_call(block: *const Block);
    /// Entered by the firmware on a thread that it starts; nobody here calls it.
    fn payload_secondary();
    /// A firmware that does nothing.
    fn payload_nothing();
    /// Where a debugger may stop the machine.
    fn payload_strike();
    /// And again.
    fn payload_mended();
}

/// The block of the calling thread.
fn block() -> &'static Block {
    let address: usize;
    // SAFETY: only reads HSPRG0, which the entry has set.
    unsafe { asm!("mfspr {}, 304", out(reg) address, options(nomem, nostack)) };
    &BLOCKS[(address - (&raw const BLOCKS).addr()) / size_of::<Block>()]
}

fn index() -> usize {
    (core::ptr::from_ref(block()).addr() - (&raw const BLOCKS).addr()) / size_of::<Block>()
}

/// Calls a firmware with this entry on the calling thread, with so much more of MSR set.
fn call_at(entry: u64, token: u64, arguments: [u64; 8], more: u64) -> Answer {
    let block = block();
    let set = |place: &AtomicU64, value| place.store(value, Ordering::Relaxed);
    set(&block.base, FIRMWARE[0].load(Ordering::Relaxed));
    set(&block.entry, entry);
    set(&block.token, token);
    set(&block.msr, more);
    for (place, value) in block.arguments.iter().zip(arguments) {
        set(place, value);
    }
    // SAFETY: the block is this thread's and complete; the call preserves what the ABI has it
    // preserve, even when an exception ends the firmware's work. What the firmware writes to is
    // memory of atomics.
    unsafe { payload_call(block) };
    match block.exception.load(Ordering::Relaxed) {
        0 => {
            let clobbered = block.clobbered.load(Ordering::Relaxed);
            CLOBBERED.fetch_add(clobbered, Ordering::Relaxed);
            Answer::Returned(block.result.load(Ordering::Relaxed) as i64)
        }
        vector => Answer::Exception(vector),
    }
}

/// The thread that calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThisThread;

impl Client for ThisThread {
    fn call(&self, token: u64, arguments: [u64; 8]) -> Answer {
        call_at(FIRMWARE[1].load(Ordering::Relaxed), token, arguments, 0)
    }

    fn call_with_interrupts(&self, token: u64) -> Answer {
        const FAR: u64 = 0x7fff_ffff;
        const EE: u64 = 1 << 15;
        // SAFETY: the next decrementer interrupt is four seconds away.
        unsafe { asm!("mtspr 22, {}", in(reg) FAR, options(nomem, nostack)) };
        call_at(FIRMWARE[1].load(Ordering::Relaxed), token, [0; 8], EE)
    }

    fn scratch(&self) -> u64 {
        (&raw const SCRATCH[index()]).addr() as u64
    }

    fn load(&self, word: usize) -> u64 {
        SCRATCH[index()].0[word].load(Ordering::Relaxed)
    }

    fn store(&self, word: usize, value: u64) {
        SCRATCH[index()].0[word].store(value, Ordering::Relaxed);
    }

    fn thread(&self) -> usize {
        index()
    }

    fn pir(&self) -> u64 {
        let value: u64;
        // SAFETY: only reads a register.
        unsafe { asm!("mfspr {}, 1023", out(reg) value, options(nomem, nostack)) };
        value
    }

    fn clobbered(&self) -> u64 {
        CLOBBERED.load(Ordering::Relaxed)
    }

    fn expect_thread(&self, thread: usize) -> u64 {
        let (block, stack) = (&BLOCKS[thread], &raw const STACKS[thread]);
        let end = stack.addr() + STACK_BYTES;
        block.stack.store(end as u64, Ordering::Relaxed);
        block.job.store(ABSENT, Ordering::Relaxed);
        NEXT_BLOCK.store((&raw const BLOCKS[thread]).addr() as u64, Ordering::Release);
        (payload_secondary as *const ()).addr() as u64
    }

    fn give(&self, thread: usize, job: u64) {
        BLOCKS[thread].job.store(job, Ordering::Release);
    }

    fn waits(&self, thread: usize) -> bool {
        BLOCKS[thread].job.load(Ordering::Acquire) == IDLE
    }

    fn relax(&self) {
        relax();
    }

    fn store_low(&self, null: bool, value: u64) {
        store(if null { 0 } else { LOW_PLACE }, value);
    }

    fn little_endian_interrupts(&self) -> bool {
        let (version, value): (u64, u64);
        // SAFETY: only reads registers.
        unsafe {
            asm!("mfspr {}, 287", "mfspr {}, 1008", out(reg) version, out(reg) value,
                 options(nomem, nostack));
        }
        // IBM bit 19 on POWER8, 4 later.
        let power8 = version >> 16 <= 0x4d;
        value & 1 << (63 - if power8 { 19 } else { 4 }) != 0
    }

    fn mark(&self) -> u64 {
        let value;
        // SAFETY: memory that nobody else uses.
        unsafe {
            asm!("ld {}, 0({})", out(reg) value, in(reg_nonzero) MARK_PLACE, options(nostack))
        };
        value
    }

    fn set_mark(&self, value: u64) {
        store(MARK_PLACE, value);
    }
}

/// Behind the payload, where an initial file system would be: no loader writes there, and no
/// firmware does.
const MARK_PLACE: u64 = 0x2f00_0000;

/// Stores a doubleword where Rust has no object: at [`LOW_PLACE`], 0, or [`MARK_PLACE`].
fn store(address: u64, value: u64) {
    // SAFETY: an OS's own memory, of which nobody here has a reference.
    unsafe { asm!("std {}, 0({})", in(reg) value, in(reg_nonzero) address, options(nostack)) };
}

impl Measured for ThisThread {
    fn clock(&self) -> u64 {
        let value: u64;
        // SAFETY: only reads a register. VTB: firmwares set TB.
        unsafe { asm!("mfspr {}, 849", out(reg) value, options(nostack)) };
        value
    }

    fn call_nothing(&self, token: u64, arguments: [u64; 8]) -> Answer {
        let entry = (payload_nothing as *const ()).addr() as u64;
        call_at(entry, token, arguments, 0)
    }

    fn strike(&self) {
        // SAFETY: it returns at once, and changes nothing.
        unsafe { payload_strike() };
    }

    fn mended(&self) {
        // SAFETY: as above.
        unsafe { payload_mended() };
    }
}

/// Where the firmware is.
pub(crate) fn set_firmware(base: u64, entry: u64) {
    FIRMWARE[0].store(base, Ordering::Relaxed);
    FIRMWARE[1].store(entry, Ordering::Relaxed);
}

/// The device tree that the firmware hands over.
pub(crate) fn tree(tree: *const u8) -> Option<Fdt<'static>> {
    // SAFETY: the firmware says that there is a tree, and leaves it alone from now on; its header
    // is checked before its size is believed.
    unsafe { Fdt::from_ptr(tree) }.ok()
}

/// Says why, and ends the run.
pub(crate) fn stop(why: fmt::Arguments<'_>) -> ! {
    // Where the console fails, silence tells.
    let _ = print(&ThisThread, why);
    Console::new(&ThisThread).power_down();
    loop {
        relax();
    }
}

/// One spin at low priority: the emulator lets other threads run.
fn relax() {
    // SAFETY: priority hints only.
    unsafe { asm!("or 1, 1, 1", "or 2, 2, 2", options(nomem, nostack)) };
}

/// An exception outside of any call.
extern "C" fn fault(block: &Block) -> ! {
    let word = |place: &AtomicU64| place.load(Ordering::Relaxed);
    stop(format_args!(
        "exception {:#x}, SRR0 {:#x}, HSRR0 {:#x}",
        word(&block.exception),
        word(&block.srr0),
        word(&block.hsrr0)
    ))
}

/// A thread that the firmware has started.
extern "C" fn thread(block: &Block) -> ! {
    block.job.store(IDLE, Ordering::Release);
    loop {
        match block.job.load(Ordering::Acquire) {
            IDLE => relax(),
            job => {
                if bench::is_job(job) {
                    bench::work(&ThisThread, job);
                } else {
                    conformance::work(&ThisThread, job);
                }
                block.job.store(IDLE, Ordering::Release);
            }
        }
    }
}
