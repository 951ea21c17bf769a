//! The assembly of the image, with the numbers that it takes from Rust, and the ways into it.
//!
//! | file | what |
//! |---|---|
//! | `head.S` | first instructions, vectors |
//! | `exception.S` | exceptions, guest entry and exit |
//! | `opal.S` | the OPAL entry, and the call of it as an OS makes it |
//! | `handover.S` | to the OS, and back from it |
//! | `guest.S` | the guest's own code (included by `guest`) |

use crate::frame::{CallFrame, Frame, OutgoingCall};
use crate::opal_door::{KNOWN_TOKENS, TOKEN_LIMIT};
use crate::thread::{
    BOOT_STACK, BOOT_STACK_SIZE, MAIN_STACK, PIR_LIMIT, PIR_TABLE, Stack, THREAD_AREAS, ThreadArea,
    ThreadBlock, current_block,
};
use core::mem::offset_of;
use opaline_firmware::platform::MAX_THREADS;

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
    check_token = const opal_abi::Token::CheckToken as u64,
    token_limit = const TOKEN_LIMIT,
    known_tokens = sym KNOWN_TOKENS,
    internal_error = const opal_abi::OpalError::InternalError as i64,
    wrong_state = const opal_abi::OpalError::WrongState as i64,
    out_token = const offset_of!(OutgoingCall, token),
    out_arguments = const offset_of!(OutgoingCall, arguments),
    out_base = const offset_of!(OutgoingCall, base),
    out_entry = const offset_of!(OutgoingCall, entry),
    out_clobbered = const offset_of!(OutgoingCall, clobbered),
);

core::arch::global_asm!(
    include_str!("assembly/handover.S"),
    block_opal_depth = const offset_of!(ThreadBlock, opal_depth),
    block_index = const offset_of!(ThreadBlock, index),
    main_stack_top = const offset_of!(ThreadArea, main)
        + offset_of!(Stack<MAIN_STACK>, space) + MAIN_STACK,
    rust_back = sym crate::waiting::opaline_back,
);

unsafe extern "C" {
    fn opaline_enter_os(entry: u64, first: u64, base: u64, opal_entry: u64) -> !;
    fn opaline_come_back(block: *const ThreadBlock) -> !;
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

/// The address that an OS calls.
pub(crate) fn opal_entry() -> u64 {
    opaline_opal_entry as *const () as u64
}

/// Leaves the calling thread to the OS, which begins at `entry` with `first` in r3.
///
/// The caller has checked that the entry is code of the OS, outside the firmware's memory.
pub(crate) fn enter_os(entry: u64, first: u64) -> ! {
    // SAFETY: never returns, so nothing of this thread's stack is used again; what the OS does to
    // its own memory is its affair, and the firmware's memory is described to it as kept.
    unsafe { opaline_enter_os(entry, first, crate::layout::LINK_BASE, opal_entry()) }
}

/// Takes the calling thread back from the OS, out of the OPAL call that it is in.
pub(crate) fn come_back(block: &ThreadBlock) -> ! {
    // SAFETY: the block is this thread's own; its first stack was left for good when the thread
    // went to the OS, and the OPAL stack is left for good now.
    unsafe { opaline_come_back(block) }
}

/// Calls OPAL through its entry, as an OS does.
pub(crate) fn call_opal(token: u64, arguments: [u64; 8]) -> (i64, u64) {
    let mut call = OutgoingCall {
        token,
        arguments,
        base: crate::layout::LINK_BASE,
        entry: opal_entry(),
        clobbered: 0,
    };
    // SAFETY: the routine saves and restores what the C ABI preserves, whatever the callee does;
    // `call` outlives it.
    let result = unsafe { opaline_call_opal(&raw mut call) };
    (result, call.clobbered)
}
