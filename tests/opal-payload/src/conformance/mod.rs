//! Every token that Opaline implements, with good and bad arguments: one line a case.
//!
//! A line is `TOKEN NAME.case -> code values`. Nothing in a line varies from run to run. Cases that
//! are repeated on other threads have no lines of their own, unless another answer came. The command
//! line may name cases: `without=A,B` leaves some out, because a firmware does not survive them, and
//! `only=A` makes one of them alone.

mod calls;
mod case;
mod interrupts;
mod list;
mod pointer;
mod repeat;
mod restart;
mod threads;
mod typed;
mod wanted;

use crate::client::{Answer, Client, call};
use crate::line::{Line, print};
use crate::tree::Machine;
use calls::Reach;
use case::{Case, Code};
use core::fmt::{self, Write as _};
use opal_abi::Token;
use pointer::Surroundings;
use wanted::Wanted;

pub use repeat::work;

/// Runs all cases.
///
/// # Errors
/// When the console fails.
pub fn run<C: Client>(client: &C, machine: &Machine<'_>) -> fmt::Result {
    let wanted = Wanted::read(machine.command_line);
    let around = Surroundings {
        firmware: machine.base,
        memory_end: machine.memory_end,
    };
    if restart::goes_on(client, &wanted)? {
        return Ok(());
    }
    cases(client, around, &wanted, false)?;
    let name = "TEST.interrupts-open";
    if wanted.wants(&name) {
        let answer = Code(client.call_with_interrupts(Token::Test as u64));
        print(
            client,
            format_args!("{} {name} -> {answer}", Token::Test as u64),
        )?;
    }
    typed::run(client, &wanted)?;
    if wanted.wants(&"CHECK_TOKEN.which") {
        tokens(client)?;
    }
    interrupts::run(client, machine, &wanted)?;
    threads::run(client, machine, around, &wanted)?;
    cases(client, around, &wanted, true)?;
    print(
        client,
        format_args!("registers that calls changed: {}", client.clobbered()),
    )?;
    restart::begin(client, &wanted)
}

/// The cases of the boot thread: those that come last, or the others.
fn cases<C: Client>(
    client: &C,
    around: Surroundings,
    wanted: &Wanted<'_>,
    last: bool,
) -> fmt::Result {
    for (number, case) in Case::all().enumerate() {
        if (case.call.reach == Reach::Last) != last || !wanted.wants(&case) {
            continue;
        }
        let mut line = Line::new();
        case.tell(client, around, &mut line)?;
        settle(client, case.call.token);
        repeat::remember(number, line.as_str());
        print(
            client,
            format_args!("{} {case} -> {}", case.call.token as i64, line.as_str()),
        )?;
    }
    Ok(())
}

/// Lets a firmware finish what it only began: it may talk to the BMC little by little.
fn settle(client: &impl Client, token: u64) {
    const POLLS: u32 = 50;
    const LOOKS: u32 = 500;
    if token == Token::RtcWrite as u64 {
        for _ in 0..POLLS {
            call(client, Token::PollEvents, [0; 3]);
            (0..LOOKS).for_each(|_| client.relax());
        }
    }
}

/// Which tokens there are.
fn tokens(client: &impl Client) -> fmt::Result {
    const BEYOND: u64 = 256;
    let is = |token| call(client, Token::CheckToken, [token, 0, 0]) == Answer::Returned(1);
    let mut list = Line::new();
    let mut token = 0;
    while token < BEYOND {
        let first = token;
        while token < BEYOND && is(token) {
            token += 1;
        }
        match token - first {
            0 => token += 1,
            1 => write!(list, " {first}")?,
            _ => write!(list, " {first}-{}", token - 1)?,
        }
    }
    let answer = Code(Answer::Returned(1));
    let text = list.as_str();
    print(
        client,
        format_args!(
            "{} CHECK_TOKEN.which -> {answer} for{text}",
            Token::CheckToken as u64
        ),
    )
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{collections::BTreeSet, string::ToString as _, vec::Vec};

    #[test]
    fn every_implemented_token_is_called() {
        let called: BTreeSet<u64> = Case::all().map(|case| case.call.token).collect();
        let elsewhere = threads::TOKENS.iter().chain(restart::TOKENS);
        let elsewhere: BTreeSet<u64> = elsewhere.map(|token| *token as u64).collect();
        for token in Token::ALL {
            let number = token as u64;
            assert!(
                called.contains(&number) || elsewhere.contains(&number),
                "{token:?}"
            );
        }
        let interrupts = interrupts::called();
        for token in opal_abi::xive::XiveToken::ALL {
            assert!(interrupts.contains(&(token as u64)), "{token:?}");
        }
    }

    #[test]
    fn no_two_cases_have_the_same_name_and_there_is_room_for_all() {
        let names: Vec<_> = Case::all().map(|case| case.to_string()).collect();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert!(names.len() <= repeat::MOST_CASES);
        assert!(names.iter().all(|name| !name.contains([' ', ','])));
    }
}
