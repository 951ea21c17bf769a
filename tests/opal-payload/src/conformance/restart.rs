//! Calls that end the run: after a reboot the payload starts again, finds what it wrote before, and
//! goes on with the next.
//!
//! `ends` on the command line wants them; without it the machine is switched off at once.

use super::case::{Code, settled};
use super::wanted::Wanted;
use crate::client::{Answer, Client};
use crate::line::print;
use core::fmt;
use opal_abi::{SUCCESS, Token, reboot_type};

/// The tokens that have their good cases here.
#[cfg(test)]
pub(super) const TOKENS: &[Token] = &[Token::CecReboot, Token::CecReboot2, Token::CecPowerDown];

/// In the upper half of what survives a reboot, so that it is no chance.
const MARK: u64 = 0x6f70_616c << 32;
/// Calls until the machine should have restarted.
const PATIENCE: u32 = 200_000;

/// The reboots, in order.
const ENDS: &[(&str, Token, u64)] = &[
    ("CEC_REBOOT.good", Token::CecReboot, 0),
    ("CEC_REBOOT2.normal", Token::CecReboot2, reboot_type::NORMAL),
    ("CEC_REBOOT2.full", Token::CecReboot2, reboot_type::FULL),
    ("CEC_REBOOT2.fast", Token::CecReboot2, reboot_type::FAST),
];

/// After a reboot: tells of it and makes the next. False in a first run.
pub(super) fn goes_on<C: Client>(client: &C, wanted: &Wanted<'_>) -> Result<bool, fmt::Error> {
    let mark = client.mark();
    if mark >> 32 << 32 != MARK {
        return Ok(false);
    }
    let done = (mark & 0xffff) as usize;
    if let Some((name, token, _)) = ENDS.get(done) {
        print(
            client,
            format_args!("{} {name} -> restarted", *token as u64),
        )?;
    }
    reboot(client, wanted, done + 1)?;
    Ok(true)
}

/// In a first run, after all else.
pub(super) fn begin<C: Client>(client: &C, wanted: &Wanted<'_>) -> fmt::Result {
    if wanted.ends() {
        reboot(client, wanted, 0)
    } else {
        Ok(())
    }
}

/// Makes the next reboot that is wanted; comes back when there is none.
fn reboot<C: Client>(client: &C, wanted: &Wanted<'_>, first: usize) -> fmt::Result {
    for (index, (name, token, kind)) in ENDS.iter().enumerate().skip(first) {
        if !wanted.wants(name) {
            continue;
        }
        client.set_mark(MARK | index as u64);
        let answer = settled(client, *token as u64, [*kind, 0, 0, 0, 0, 0, 0, 0]);
        // A firmware that accepts may do it little by little.
        let accepted = answer == Answer::Returned(SUCCESS);
        for _ in 0..if accepted { PATIENCE } else { 0 } {
            settled(client, Token::PollEvents as u64, [0; 8]);
            client.relax();
        }
        // Still here.
        print(
            client,
            format_args!("{} {name} -> {}", *token as u64, Code(answer)),
        )?;
    }
    client.set_mark(0);
    Ok(())
}
