//! The OPAL calls: from registers to work and back to a return code.
//!
//! The entry code hands over the registers as [`Call`]; [`dispatch`] is the only door. It is safe
//! for any token and any argument, and may run on all threads at once.

mod calls;
pub mod pointer;
mod threads;
mod time;
mod xive;

use crate::console::{Console, Patience};
use crate::hardware::Hardware;
use crate::system::System;
use core::fmt;
use core::ops::Range;
use opal_abi::xive::XiveToken;
use opal_abi::{OpalError, SUCCESS, Token};
use pointer::{Checker, PointerError};
pub use pointer::{OsEntry, RealAddress};

/// An OPAL call as it comes in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// r0.
    pub token: u64,
    /// r3 to r10.
    pub arguments: [u64; 8],
}

/// The memory of the OS. A [`RealAddress`] comes from a check alone, so a number that a caller
/// passed does not get here:
///
/// ```compile_fail
/// # use opaline_firmware::opal::OsMemory;
/// fn forgetful(memory: &mut impl OsMemory, argument: u64) {
///     memory.write(argument, &[0]);
/// }
/// ```
///
/// nor can one be made into an address, or an address be moved beyond what was checked:
///
/// ```compile_fail
/// # use opaline_firmware::opal::RealAddress;
/// let anywhere = RealAddress(0x3000_0000);
/// ```
pub trait OsMemory {
    /// Copies from a real address; all of `into` lies in the range that was checked.
    fn read(&mut self, from: RealAddress, into: &mut [u8]);
    /// Copies to a real address; all of `from` lies in the range that was checked.
    fn write(&mut self, to: RealAddress, from: &[u8]);
}

/// What a call acts on.
pub struct Context<'a, H, M> {
    /// The calling thread.
    pub hardware: &'a mut H,
    /// The OS's memory.
    pub memory: &'a mut M,
    /// The state of the firmware.
    pub system: &'a System<'a>,
    /// The console.
    pub console: &'a Console<'a>,
    /// The firmware's own memory, which no pointer may touch.
    pub own: Range<u64>,
    /// 1 for a call of the OS; more when it interrupted an unfinished call on the same thread.
    pub depth: u32,
    /// Set by a call that does not go back to the OS: the thread waits in the firmware again.
    pub stays: bool,
}

impl<H, M> fmt::Debug for Context<'_, H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("own", &self.own)
            .field("depth", &self.depth)
            .finish()
    }
}

impl<H, M> Context<'_, H, M> {
    fn pointers(&self) -> Checker<'_> {
        Checker::new(self.system.platform, &self.own)
    }

    /// An interrupted call of this thread may hold the console for ever.
    fn patience(&self) -> Patience {
        if self.depth > 1 {
            Patience::Try
        } else {
            Patience::Wait
        }
    }
}

impl From<PointerError> for Refusal {
    fn from(_: PointerError) -> Self {
        Self(OpalError::Parameter)
    }
}

impl From<OpalError> for Refusal {
    fn from(error: OpalError) -> Self {
        Self(error)
    }
}

/// What a call returns instead of success.
struct Refusal(OpalError);

/// Calls that work over an unfinished call of the same thread: what an OS needs that panics in the
/// middle of one.
const fn allowed_on_reentry(token: Token) -> bool {
    matches!(
        token,
        Token::ConsoleWrite
            | Token::ConsoleRead
            | Token::ConsoleWriteBufferSpace
            | Token::ConsoleFlush
            | Token::PollEvents
            | Token::CheckToken
            | Token::CecReboot
            | Token::CecReboot2
    )
}

/// Does a call and returns the value for r3. An unknown token answers `OPAL_PARAMETER`: the caller
/// may log it, with a limit on its rate.
pub fn dispatch<H: Hardware, M: OsMemory>(context: &mut Context<'_, H, M>, call: &Call) -> i64 {
    let Some(token) = Token::from_number(call.token) else {
        return of_interrupts(context, call);
    };
    if context.depth > 1 && !allowed_on_reentry(token) {
        return OpalError::InternalError.code();
    }
    let [first, second, third, ..] = call.arguments;
    let result = match token {
        Token::Test => Ok(opal_abi::TEST_ANSWER),
        Token::CheckToken => Ok(context.system.has_call(first).into()),
        Token::ConsoleWrite => calls::console_write(context, first, second, third),
        Token::ConsoleRead => calls::console_read(context, first, second, third),
        Token::ConsoleWriteBufferSpace => calls::console_room(context, first, second),
        Token::ConsoleFlush => calls::console_flush(context, first),
        Token::PollEvents => calls::poll_events(context, first),
        Token::GetMessage => calls::get_message(context, first, second),
        Token::HandleHmi => calls::handle_hmi(context),
        Token::HandleHmi2 => calls::handle_hmi2(context, first),
        Token::ResyncTimebase => calls::resync_timebase(context),
        Token::CecPowerDown => calls::power_down(context, first),
        Token::CecReboot => calls::reboot(context),
        Token::CecReboot2 => calls::reboot2(context, first),
        // Nothing of the firmware goes on beside its calls.
        Token::SyncHostReboot => Ok(SUCCESS),
        Token::RtcRead => time::read(context, first, second),
        Token::RtcWrite => time::write(context, first, second),
        Token::StartCpu => threads::start(context, first, second),
        Token::QueryCpuStatus => threads::status(context, first, second),
        Token::ReturnCpu => threads::give_back(context),
        Token::ReinitCpus => threads::set_up(context, first),
        // No accelerator is handed over that would translate addresses through it. The OS asks at
        // boot, and takes any other refusal for an error.
        Token::NmmuSetPtcr => Err(OpalError::Unsupported.into()),
    };
    result.unwrap_or_else(|Refusal(error)| error.code())
}

/// Does a call of the interrupt controller, where there is one.
#[cold]
#[inline(never)]
fn of_interrupts<H: Hardware, M: OsMemory>(context: &mut Context<'_, H, M>, call: &Call) -> i64 {
    let system = context.system;
    let token = XiveToken::from_number(call.token);
    let (Some(token), Some(interrupts)) = (token, system.interrupts()) else {
        return OpalError::Parameter.code();
    };
    if context.depth > 1 {
        return OpalError::InternalError.code();
    }
    let result = xive::call(context, interrupts, token, &call.arguments);
    result.unwrap_or_else(|Refusal(error)| error.code())
}
