//! Each hardware thread's block and stacks.

use crate::frame::{CallFrame, Frame};
use crate::instructions as cpu;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};
use opaline_firmware::platform::MAX_THREADS;

/// What assembly and Rust share about one thread; only this thread touches it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ThreadBlock {
    pub(crate) r11: u64,
    pub(crate) r12: u64,
    pub(crate) ctr: u64,
    pub(crate) cr: u64,
    pub(crate) in_guest: u64,
    pub(crate) depth: u64,
    pub(crate) exception_frame: u64,
    pub(crate) crash_frame: u64,
    pub(crate) host_r1: u64,
    pub(crate) host_r2: u64,
    pub(crate) host_lr: u64,
    pub(crate) host_cr: u64,
    pub(crate) host_gpr: [u64; 18],
    pub(crate) opal_depth: u64,
    pub(crate) opal_frame: u64,
    pub(crate) opal_nested_frame: u64,
    pub(crate) guest: Frame,
    pub(crate) index: u64,
    pub(crate) pir: u64,
}

/// Where the boot thread starts up: the firmware's state passes over this stack on its way to its
/// place.
pub(crate) const BOOT_STACK_SIZE: usize = 256 * 1024;
pub(crate) const MAIN_STACK: usize = 24 * 1024;
const EXCEPTION_STACK: usize = 20 * 1024;
const CRASH_STACK: usize = 12 * 1024;
const OPAL_STACK: usize = 20 * 1024;
/// Pattern at the low end of each stack.
const GUARD: u64 = 0x4f50_414c_4755_4152;
const GUARD_WORDS: usize = 8;

/// One thread's memory: block first, then its stacks, each with a guard below it.
#[repr(C, align(4096))]
pub(crate) struct ThreadArea {
    pub(crate) block: UnsafeCell<ThreadBlock>,
    pub(crate) main: Stack<MAIN_STACK>,
    pub(crate) exception: Stack<EXCEPTION_STACK>,
    pub(crate) crash: Stack<CRASH_STACK>,
    pub(crate) opal: Stack<OPAL_STACK>,
    pub(crate) opal_nested: Stack<OPAL_STACK>,
}

/// A stack; it grows down towards its guard.
#[repr(C, align(128))]
pub(crate) struct Stack<const BYTES: usize> {
    guard: [AtomicU64; GUARD_WORDS],
    pub(crate) space: UnsafeCell<[u8; BYTES]>,
}

impl<const BYTES: usize> Stack<BYTES> {
    const fn new() -> Self {
        Self {
            guard: [const { AtomicU64::new(0) }; GUARD_WORDS],
            space: UnsafeCell::new([0; BYTES]),
        }
    }

    fn top(&self) -> u64 {
        self.space.get() as u64 + BYTES as u64
    }

    fn set_guard(&self) {
        for word in &self.guard {
            word.store(GUARD, Ordering::Relaxed);
        }
    }

    fn intact(&self) -> bool {
        self.guard
            .iter()
            .all(|word| word.load(Ordering::Relaxed) == GUARD)
    }
}

// SAFETY: a block and its stacks are used by the one thread that owns the area; the guards are
// atomic.
unsafe impl Sync for ThreadArea {}

impl ThreadArea {
    const fn new() -> Self {
        Self {
            block: UnsafeCell::new(ThreadBlock {
                r11: 0,
                r12: 0,
                ctr: 0,
                cr: 0,
                in_guest: 0,
                depth: 0,
                exception_frame: 0,
                crash_frame: 0,
                host_r1: 0,
                host_r2: 0,
                host_lr: 0,
                host_cr: 0,
                host_gpr: [0; 18],
                opal_depth: 0,
                opal_frame: 0,
                opal_nested_frame: 0,
                guest: Frame::zeroed(),
                index: 0,
                pir: 0,
            }),
            main: Stack::new(),
            exception: Stack::new(),
            crash: Stack::new(),
            opal: Stack::new(),
            opal_nested: Stack::new(),
        }
    }
}

// SAFETY: only the boot thread runs on it; the guard is atomic.
unsafe impl Sync for Stack<BOOT_STACK_SIZE> {}

pub(crate) static BOOT_STACK: Stack<BOOT_STACK_SIZE> = Stack::new();

pub(crate) static THREAD_AREAS: [ThreadArea; MAX_THREADS] =
    [const { ThreadArea::new() }; MAX_THREADS];

/// PIRs that the OPAL entry knows are below this.
pub(crate) const PIR_LIMIT: usize = 4096;

/// Address of the block of each PIR; 0 = unknown. Read by the OPAL entry.
pub(crate) static PIR_TABLE: [AtomicU64; PIR_LIMIT] = [const { AtomicU64::new(0) }; PIR_LIMIT];

/// Sets up the calling thread's block: the first thing that a thread does.
pub(crate) fn claim_block(index: u64) -> &'static ThreadBlock {
    let area = &THREAD_AREAS[index as usize];
    if index == 0 {
        BOOT_STACK.set_guard();
    }
    area.main.set_guard();
    area.exception.set_guard();
    area.crash.set_guard();
    area.opal.set_guard();
    area.opal_nested.set_guard();
    let pir = cpu::pir();
    let frame = size_of::<Frame>() as u64 + 128;
    let call = size_of::<CallFrame>() as u64 + 16;
    // SAFETY: the head gave each thread its own index, so this thread alone uses this block, and
    // no reference to it exists yet.
    let block = unsafe { &mut *area.block.get() };
    block.exception_frame = (area.exception.top() - frame) & !15;
    block.crash_frame = (area.crash.top() - frame) & !15;
    block.opal_frame = (area.opal.top() - call) & !15;
    block.opal_nested_frame = (area.opal_nested.top() - call) & !15;
    block.index = index;
    block.pir = u64::from(pir);
    if let Some(entry) = PIR_TABLE.get(pir as usize) {
        entry.store(core::ptr::from_mut(block) as u64, Ordering::Release);
    }
    block
}

/// The guest frame of the calling thread.
///
/// `f` gets the only reference: the frame is used by assembly only between `enter_guest` and its
/// return, and `f` must not enter the guest.
pub(crate) fn with_guest_frame<R>(f: impl FnOnce(&mut Frame) -> R) -> R {
    let block = current_block();
    // SAFETY: HSPRG0 points to this thread's own block since the head; assembly does not touch
    // the guest frame while Rust of this thread runs, and callers do not nest (module-private use
    // in `guest`).
    f(unsafe { &mut (*block).guest })
}

/// Index of the calling thread.
pub(crate) fn current_index() -> usize {
    // SAFETY: HSPRG0 points to this thread's own block since the head; `index` is not written
    // after `claim_block`.
    unsafe { (*current_block()).index as usize }
}

/// Runs `f` while the OPAL entry believes that this thread is `depth` calls deep already.
pub(crate) fn with_opal_depth(depth: u64, f: impl FnOnce()) {
    let block = current_block();
    // SAFETY: the block is this thread's own; only the OPAL entry, on this thread, uses the field,
    // and it leaves it as it found it.
    unsafe { (&raw mut (*block).opal_depth).write_volatile(depth) };
    f();
    // SAFETY: as above.
    unsafe { (&raw mut (*block).opal_depth).write_volatile(0) };
}

/// Runs `f` while the OPAL entry does not know this thread's PIR.
pub(crate) fn without_block(f: impl FnOnce()) {
    let Some(entry) = PIR_TABLE.get(cpu::pir() as usize) else {
        return;
    };
    let block = entry.swap(0, Ordering::AcqRel);
    f();
    entry.store(block, Ordering::Release);
}

/// How deep the calling thread is in OPAL calls.
pub(crate) fn opal_depth(block: &ThreadBlock) -> u32 {
    block.opal_depth as u32
}

pub(crate) fn current_block() -> *mut ThreadBlock {
    cpu::hsprg0() as *mut ThreadBlock
}

/// The stacks of a thread whose guard was overwritten, by name; none if the thread never came.
pub(crate) fn broken_guards(index: usize) -> impl Iterator<Item = &'static str> {
    let area = &THREAD_AREAS[index];
    // SAFETY: `exception_frame` is written once, before any other thread asks.
    let used = unsafe { (*area.block.get()).exception_frame != 0 };
    [
        ("boot", index != 0 || BOOT_STACK.intact()),
        ("main", area.main.intact()),
        ("exception", area.exception.intact()),
        ("crash", area.crash.intact()),
        ("OPAL", area.opal.intact()),
        ("nested OPAL", area.opal_nested.intact()),
    ]
    .into_iter()
    .filter_map(move |(name, intact)| (used && !intact).then_some(name))
}

/// Whether an address lies in the stacks of some thread; for back-traces.
pub(crate) fn is_stack(address: u64) -> bool {
    let areas = (&raw const THREAD_AREAS) as u64;
    let boot = (&raw const BOOT_STACK) as u64;
    let in_areas = (areas..areas + size_of_val(&THREAD_AREAS) as u64 - 32).contains(&address);
    let in_boot = (boot..boot + size_of_val(&BOOT_STACK) as u64 - 32).contains(&address);
    address.is_multiple_of(16) && (in_areas || in_boot)
}
