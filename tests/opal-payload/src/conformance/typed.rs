//! Input: whoever watches is asked to type, and the calls hand it out.

use super::case::Code;
use super::wanted::Wanted;
use crate::client::{Answer, Client, call};
use crate::line::print;
use core::fmt;
use opal_abi::{Token, events};

/// What is to be typed.
const TYPED: &[u8] = b"opal";
/// Asks for it.
const REQUEST: &str = "type opal";
/// Looks until nobody seems to type.
const PATIENCE: u32 = 2_000_000;
/// Looks between two polls.
const LOOKS: u32 = 100;

/// Runs the cases.
pub(super) fn run<C: Client>(client: &C, wanted: &Wanted<'_>) -> fmt::Result {
    if !wanted.is_whole() || !wanted.wants(&"CONSOLE_READ.typed") {
        return Ok(());
    }
    print(client, format_args!("{REQUEST}"))?;
    let (events, read) = (Token::PollEvents as u64, Token::ConsoleRead as u64);
    let says = |waits| if waits { "yes" } else { "no" };
    let waits = says(wait(client));
    print(
        client,
        format_args!("{events} POLL_EVENTS.typed -> input={waits}"),
    )?;
    let mut place = [0; TYPED.len()];
    let (first, rest) = place.split_at_mut(2);
    let answer = Code(take(client, first));
    let text = Text(first);
    print(
        client,
        format_args!("{read} CONSOLE_READ.typed, the first two -> {answer} {text}"),
    )?;
    let waits = says(wait(client));
    print(
        client,
        format_args!("{events} POLL_EVENTS.typed, while more waits -> input={waits}"),
    )?;
    let answer = Code(take(client, rest));
    let text = Text(rest);
    print(
        client,
        format_args!("{read} CONSOLE_READ.typed, the others -> {answer} {text}"),
    )?;
    let waits = says(input_waits(client));
    print(
        client,
        format_args!("{events} POLL_EVENTS.typed, all taken -> input={waits}"),
    )
}

fn input_waits(client: &impl Client) -> bool {
    client.store(0, 0);
    call(client, Token::PollEvents, [client.scratch(), 0, 0]);
    client.load(0) & events::CONSOLE_INPUT != 0
}

/// Waits, with a bound, until input is announced.
fn wait(client: &impl Client) -> bool {
    (0..PATIENCE / LOOKS).any(|_| {
        (0..LOOKS).for_each(|_| client.relax());
        input_waits(client)
    })
}

/// Takes as many bytes as there is room for, as they come.
fn take(client: &impl Client, into: &mut [u8]) -> Answer {
    let mut answer = Answer::Returned(0);
    let mut taken = 0;
    for _ in 0..PATIENCE / LOOKS {
        if taken == into.len() || answer != Answer::Returned(0) {
            break;
        }
        client.store(0, (into.len() - taken) as u64);
        let buffer = client.scratch() + 8;
        answer = call(client, Token::ConsoleRead, [0, client.scratch(), buffer]);
        let bytes = client.load(1).to_be_bytes();
        let count = (client.load(0) as usize).min(into.len() - taken);
        into[taken..taken + count].copy_from_slice(&bytes[..count]);
        taken += count;
        (0..LOOKS).for_each(|_| client.relax());
    }
    answer
}

/// Bytes as text.
struct Text<'b>(&'b [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = core::str::from_utf8(self.0).unwrap_or("(no text)");
        write!(f, "{text:?}")
    }
}
