//! Each hardware thread's block and stacks, and the frames that assembly fills.

use crate::instructions as cpu;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use opaline_firmware::platform::MAX_THREADS;

/// Everything that an exception interrupted, or the whole state of a guest.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Frame {
    pub(crate) gpr: [u64; 32],
    pub(crate) lr: u64,
    pub(crate) ctr: u64,
    pub(crate) cr: u64,
    pub(crate) xer: u64,
    pub(crate) srr0: u64,
    pub(crate) srr1: u64,
    pub(crate) hsrr0: u64,
    pub(crate) hsrr1: u64,
    pub(crate) dar: u64,
    pub(crate) dsisr: u64,
    pub(crate) hdar: u64,
    pub(crate) hdsisr: u64,
    pub(crate) heir: u64,
    pub(crate) vector: u64,
    /// Where to go on; set by Rust before the frame is resumed.
    pub(crate) pc: u64,
    /// MSR to go on with; set by Rust before the frame is resumed.
    pub(crate) msr: u64,
}

impl Frame {
    const fn zeroed() -> Self {
        Self {
            gpr: [0; 32],
            lr: 0,
            ctr: 0,
            cr: 0,
            xer: 0,
            srr0: 0,
            srr1: 0,
            hsrr0: 0,
            hsrr1: 0,
            dar: 0,
            dsisr: 0,
            hdar: 0,
            hdsisr: 0,
            heir: 0,
            vector: 0,
            pc: 0,
            msr: 0,
        }
    }

    /// Where the exception came from: (address, MSR), by the save registers that its vector uses.
    pub(crate) fn interrupted(&self) -> (u64, u64) {
        // Implementation bits of SRR1 that are not MSR: 33:36 and 42:47.
        const STATUS_BITS: u64 = 0x783f_0000;
        let (pc, msr) = match self.vector {
            0x500 | 0x980 | 0xe00 | 0xe20 | 0xe40 | 0xe60 | 0xe80 | 0xea0 | 0xf80 => {
                (self.hsrr0, self.hsrr1)
            }
            _ => (self.srr0, self.srr1),
        };
        (pc, msr & !STATUS_BITS)
    }
}

/// What assembly and Rust share about one thread; only this thread touches it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ThreadBlock {
    r11: u64,
    r12: u64,
    ctr: u64,
    cr: u64,
    in_guest: u64,
    depth: u64,
    exception_frame: u64,
    crash_frame: u64,
    host_r1: u64,
    host_r2: u64,
    host_lr: u64,
    host_cr: u64,
    host_gpr: [u64; 18],
    opal_depth: u64,
    opal_frame: u64,
    opal_nested_frame: u64,
    pub(crate) guest: Frame,
    pub(crate) index: u64,
    pub(crate) pir: u64,
}

/// The OPAL call as the entry saves it on the thread's OPAL stack.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CallFrame {
    r1: u64,
    r2: u64,
    r13: u64,
    lr: u64,
    cr: u64,
    block: u64,
    pub(crate) token: u64,
    pub(crate) arguments: [u64; 8],
}

/// A call to OPAL as the shim makes it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct OutgoingCall {
    pub(crate) token: u64,
    pub(crate) arguments: [u64; 8],
    pub(crate) base: u64,
    pub(crate) entry: u64,
    /// Registers that came back changed though the ABI preserves them.
    pub(crate) clobbered: u64,
}

/// Where the boot thread starts up: the firmware's state passes over this stack on its way to its
/// place.
const BOOT_STACK_SIZE: usize = 256 * 1024;
const MAIN_STACK: usize = 24 * 1024;
const EXCEPTION_STACK: usize = 20 * 1024;
const CRASH_STACK: usize = 12 * 1024;
const OPAL_STACK: usize = 20 * 1024;
/// Pattern at the low end of each stack.
const GUARD: u64 = 0x4f50_414c_4755_4152;
const GUARD_WORDS: usize = 8;

/// One thread's memory: block first, then its stacks, each with a guard below it.
#[repr(C, align(4096))]
struct ThreadArea {
    block: UnsafeCell<ThreadBlock>,
    main: Stack<MAIN_STACK>,
    exception: Stack<EXCEPTION_STACK>,
    crash: Stack<CRASH_STACK>,
    opal: Stack<OPAL_STACK>,
    opal_nested: Stack<OPAL_STACK>,
}

/// A stack; it grows down towards its guard.
#[repr(C, align(128))]
struct Stack<const BYTES: usize> {
    guard: [AtomicU64; GUARD_WORDS],
    space: UnsafeCell<[u8; BYTES]>,
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
    const NEW: Self = Self {
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
    };
}

// SAFETY: only the boot thread runs on it; the guard is atomic.
unsafe impl Sync for Stack<BOOT_STACK_SIZE> {}

static BOOT_STACK: Stack<BOOT_STACK_SIZE> = Stack::new();

static THREAD_AREAS: [ThreadArea; MAX_THREADS] = [const { ThreadArea::NEW }; MAX_THREADS];

/// PIRs that the OPAL entry knows are below this.
pub(crate) const PIR_LIMIT: usize = 4096;

/// Address of the block of each PIR; 0 = unknown. Read by the OPAL entry.
static PIR_TABLE: [AtomicU64; PIR_LIMIT] = [const { AtomicU64::new(0) }; PIR_LIMIT];

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

/// The stacks of a thread whose guard was overwritten, by name.
pub(crate) fn broken_guards(index: usize) -> impl Iterator<Item = &'static str> {
    let area = &THREAD_AREAS[index];
    [
        ("boot", index != 0 || BOOT_STACK.intact()),
        ("main", area.main.intact()),
        ("exception", area.exception.intact()),
        ("crash", area.crash.intact()),
        ("OPAL", area.opal.intact()),
        ("nested OPAL", area.opal_nested.intact()),
    ]
    .into_iter()
    .filter_map(|(name, intact)| (!intact).then_some(name))
}

/// As [`broken_guards`], for a thread that may never have come.
pub(crate) fn broken_guards_of_used(index: usize) -> impl Iterator<Item = &'static str> {
    // SAFETY: `pir` and `exception_frame` are written once, before any other thread runs this.
    let used = unsafe { (*THREAD_AREAS[index].block.get()).exception_frame != 0 };
    broken_guards(index).filter(move |_| used)
}

/// Whether an address lies in the stacks of some thread; for back-traces.
pub(crate) fn is_stack(address: u64) -> bool {
    let areas = (&raw const THREAD_AREAS) as u64;
    let boot = (&raw const BOOT_STACK) as u64;
    let in_areas = (areas..areas + size_of_val(&THREAD_AREAS) as u64 - 32).contains(&address);
    let in_boot = (boot..boot + size_of_val(&BOOT_STACK) as u64 - 32).contains(&address);
    address % 16 == 0 && (in_areas || in_boot)
}

core::arch::global_asm!(
    include_str!("assembly/head.S"),
    debug_descriptor = sym crate::console::DEBUG_DESCRIPTOR,
    block_r11 = const offset_of!(ThreadBlock, r11),
    block_r12 = const offset_of!(ThreadBlock, r12),
    block_ctr = const offset_of!(ThreadBlock, ctr),
    max_threads = const MAX_THREADS,
    thread_areas = sym THREAD_AREAS,
    area_size = const size_of::<ThreadArea>(),
    main_stack_top = const offset_of!(ThreadArea, main)
        + offset_of!(Stack<MAIN_STACK>, space) + MAIN_STACK,
    boot_stack = sym BOOT_STACK,
    boot_stack_top = const offset_of!(Stack<BOOT_STACK_SIZE>, space) + BOOT_STACK_SIZE,
    rust_boot = sym crate::opaline_boot,
    rust_wait = sym crate::opaline_wait,
);

core::arch::global_asm!(
    include_str!("assembly/exception.S"),
    block_r11 = const offset_of!(ThreadBlock, r11),
    block_r12 = const offset_of!(ThreadBlock, r12),
    block_ctr = const offset_of!(ThreadBlock, ctr),
    block_cr = const offset_of!(ThreadBlock, cr),
    block_in_guest = const offset_of!(ThreadBlock, in_guest),
    block_depth = const offset_of!(ThreadBlock, depth),
    block_exception_frame = const offset_of!(ThreadBlock, exception_frame),
    block_crash_frame = const offset_of!(ThreadBlock, crash_frame),
    block_guest = const offset_of!(ThreadBlock, guest),
    block_host_gpr = const offset_of!(ThreadBlock, host_gpr),
    block_host_r1 = const offset_of!(ThreadBlock, host_r1),
    block_host_r2 = const offset_of!(ThreadBlock, host_r2),
    block_host_lr = const offset_of!(ThreadBlock, host_lr),
    block_host_cr = const offset_of!(ThreadBlock, host_cr),
    frame_gpr = const offset_of!(Frame, gpr),
    frame_lr = const offset_of!(Frame, lr),
    frame_ctr = const offset_of!(Frame, ctr),
    frame_cr = const offset_of!(Frame, cr),
    frame_xer = const offset_of!(Frame, xer),
    frame_srr0 = const offset_of!(Frame, srr0),
    frame_srr1 = const offset_of!(Frame, srr1),
    frame_hsrr0 = const offset_of!(Frame, hsrr0),
    frame_hsrr1 = const offset_of!(Frame, hsrr1),
    frame_dar = const offset_of!(Frame, dar),
    frame_dsisr = const offset_of!(Frame, dsisr),
    frame_hdar = const offset_of!(Frame, hdar),
    frame_hdsisr = const offset_of!(Frame, hdsisr),
    frame_heir = const offset_of!(Frame, heir),
    frame_vector = const offset_of!(Frame, vector),
    frame_pc = const offset_of!(Frame, pc),
    frame_msr = const offset_of!(Frame, msr),
    rust_exception = sym crate::exception::opaline_exception,
);

core::arch::global_asm!(
    include_str!("assembly/opal.S"),
    pir_limit = const PIR_LIMIT,
    pir_table = sym PIR_TABLE,
    block_opal_depth = const offset_of!(ThreadBlock, opal_depth),
    block_opal_frame = const offset_of!(ThreadBlock, opal_frame),
    block_opal_nested_frame = const offset_of!(ThreadBlock, opal_nested_frame),
    call_r1 = const offset_of!(CallFrame, r1),
    call_r2 = const offset_of!(CallFrame, r2),
    call_r13 = const offset_of!(CallFrame, r13),
    call_lr = const offset_of!(CallFrame, lr),
    call_cr = const offset_of!(CallFrame, cr),
    call_block = const offset_of!(CallFrame, block),
    call_token = const offset_of!(CallFrame, token),
    call_arguments = const offset_of!(CallFrame, arguments),
    rust_opal = sym crate::opal_door::opaline_opal,
    internal_error = const opal_abi::OpalError::InternalError as i64,
    wrong_state = const opal_abi::OpalError::WrongState as i64,
    out_token = const offset_of!(OutgoingCall, token),
    out_arguments = const offset_of!(OutgoingCall, arguments),
    out_base = const offset_of!(OutgoingCall, base),
    out_entry = const offset_of!(OutgoingCall, entry),
    out_clobbered = const offset_of!(OutgoingCall, clobbered),
);

unsafe extern "C" {
    /// Runs the guest in the block's frame; gives the vector of its exit.
    fn opaline_enter_guest(block: *mut ThreadBlock) -> u64;
    fn opaline_call_opal(call: *mut OutgoingCall) -> i64;
    /// The address that an OS calls.
    fn opaline_opal_entry();
}

/// Runs the guest in this thread's frame until it exits; gives the vector.
///
/// The partition (LPIDR, LPCR, RMOR, TB offset, HDEC) must have been switched in by the caller.
pub(crate) fn enter_guest() -> u64 {
    // SAFETY: the block is this thread's own; the routine preserves all non-volatile registers;
    // the guest runs with HV = 0 in its own partition and cannot reach host memory.
    unsafe { opaline_enter_guest(current_block()) }
}

/// Calls OPAL through its entry, as an OS does.
pub(crate) fn call_opal(token: u64, arguments: [u64; 8]) -> (i64, u64) {
    let mut call = OutgoingCall {
        token,
        arguments,
        base: crate::layout::LINK_BASE,
        entry: opaline_opal_entry as *const () as u64,
        clobbered: 0,
    };
    // SAFETY: the routine saves and restores what the C ABI preserves, whatever the callee does;
    // `call` outlives it.
    let result = unsafe { opaline_call_opal(&raw mut call) };
    (result, call.clobbered)
}
