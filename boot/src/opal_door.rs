//! The one door from the OS into the firmware: registers become a typed call, then all is safe.

use crate::assembly::come_back;
use crate::frame::CallFrame;
use crate::machine::ThisThread;
use crate::thread::{ThreadBlock, opal_depth};
use crate::{SYSTEM, console, handover};
use core::sync::atomic::{AtomicU8, Ordering};
use opal_abi::xive::XiveToken;
use opal_abi::{OpalError, Token};
use opaline_firmware::opal::{Call, Context, OsMemory, RealAddress, dispatch};

/// No token is as large.
pub(crate) const TOKEN_LIMIT: usize = 256;

/// 1 for each token that there is: the entry code answers `OPAL_CHECK_TOKEN` from it.
pub(crate) static KNOWN_TOKENS: [AtomicU8; TOKEN_LIMIT] = {
    let mut known = [const { AtomicU8::new(0) }; TOKEN_LIMIT];
    let mut index = 0;
    while index < Token::ALL.len() {
        known[Token::ALL[index] as usize] = AtomicU8::new(1);
        index += 1;
    }
    known
};

/// From now on the calls of the interrupt controller are there.
pub(crate) fn add_interrupt_calls() {
    for token in XiveToken::ALL {
        KNOWN_TOKENS[token as usize].store(1, Ordering::Release);
    }
}

/// Memory of the OS, reached through ranges that the firmware has checked.
#[derive(Debug)]
struct RealMemory;

impl OsMemory for RealMemory {
    fn read(&mut self, from: RealAddress, into: &mut [u8]) {
        let real = from.number();
        for (at, byte) in into.iter_mut().enumerate() {
            // SAFETY: such an address comes from a check alone: the range lies in one range of
            // memory and outside the firmware's own, so no Rust object is there; volatile, byte by
            // byte, because the OS may write at the same time.
            *byte = unsafe { ((real as *const u8).wrapping_add(at)).read_volatile() };
        }
    }

    fn write(&mut self, to: RealAddress, from: &[u8]) {
        let real = to.number();
        for (at, byte) in from.iter().enumerate() {
            // SAFETY: as for `read`.
            unsafe { ((real as *mut u8).wrapping_add(at)).write_volatile(*byte) };
        }
    }
}

/// Turns what the entry saved into a call and dispatches it. Gives r3.
pub(crate) extern "C" fn opaline_opal(frame: &CallFrame, block: &ThreadBlock) -> i64 {
    let Some(system) = SYSTEM.get() else {
        return OpalError::WrongState.code();
    };
    let call = Call {
        token: frame.token,
        arguments: frame.arguments,
    };
    let mut context = Context {
        hardware: &mut ThisThread,
        memory: &mut RealMemory,
        system,
        console: console::console(),
        own: handover::own(),
        depth: opal_depth(block),
        stays: false,
    };
    let result = dispatch(&mut context, &call);
    if context.stays {
        come_back(block);
    }
    result
}
