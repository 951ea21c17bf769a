//! One case: a call with one thing changed, made, and told in a line.

use super::calls::{Argument, Change, Place, Shown, Template, UNTOUCHED, Value, Variant};
use super::list::CALLS;
use super::pointer::{Kind, Surroundings};
use crate::client::{Answer, Client};
use core::fmt::{self, Display, Write};
use opal_abi::{OpalError, SUCCESS, Token};

/// Calls that are made again while the firmware is busy.
const PATIENCE: u32 = 300_000;
/// Doublewords between the places of a call's arguments.
const PLACE_WORDS: usize = 64;

/// A call with one thing changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) call: &'static Template,
    twist: Twist,
}

#[derive(Clone, Copy, Debug)]
enum Twist {
    /// Nothing is.
    Good,
    Pointer(usize, Kind),
    Variant(&'static Variant),
}

impl Case {
    /// All cases, in order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        CALLS.iter().flat_map(|call| {
            let pointers = call
                .arguments
                .iter()
                .enumerate()
                .flat_map(|(index, argument)| {
                    let bytes = match argument {
                        Argument::Pointer(place) => place.bytes,
                        Argument::Value(_) => 0,
                    };
                    let kinds = Kind::BAD.iter().filter(move |kind| kind.is_for(bytes));
                    let kinds = kinds.take(if bytes == 0 { 0 } else { usize::MAX });
                    kinds.map(move |kind| Twist::Pointer(index, *kind))
                });
            let variants = call.variants.iter().map(Twist::Variant);
            core::iter::once(Twist::Good)
                .chain(pointers)
                .chain(variants)
                .map(move |twist| Self { call, twist })
        })
    }

    /// Whether a firmware that believes what it says puts out as much as its buffers hold.
    pub(super) const fn is_long(&self) -> bool {
        matches!(
            self.twist,
            Twist::Variant(Variant {
                change: Change::Content(1..),
                ..
            })
        )
    }

    /// Whether a firmware that takes its pointer works with memory of all threads.
    pub(super) const fn shares_memory(&self) -> bool {
        matches!(self.twist, Twist::Pointer(_, kind) if kind.is_shared())
    }

    /// Makes the call and tells what came of it.
    pub(super) fn tell<C: Client>(
        &self,
        client: &C,
        around: Surroundings,
        out: &mut impl Write,
    ) -> fmt::Result {
        let arguments = self.arguments(client, around);
        let answer = settled(client, self.call.token, arguments);
        write!(out, "{}", Code(answer))?;
        for (index, argument) in self.call.arguments.iter().enumerate() {
            if let Argument::Pointer(place) = argument
                && self.kind(index).reaches()
            {
                let after = client.load(index * PLACE_WORDS);
                let before = self.content(index, place);
                if answer == Answer::Returned(SUCCESS) || after != before {
                    write!(out, " {}=", place.name)?;
                    show(place.shown, before, after, out)?;
                }
            }
        }
        Ok(())
    }

    /// Puts memory in order; gives what goes into the registers.
    fn arguments<C: Client>(&self, client: &C, around: Surroundings) -> [u64; 8] {
        let mut registers = [0; 8];
        for (index, argument) in self.call.arguments.iter().enumerate() {
            registers[index] = match argument {
                Argument::Value(value) => register(client, *value),
                Argument::Pointer(place) => {
                    let first = index * PLACE_WORDS;
                    (first..first + PLACE_WORDS).for_each(|word| client.store(word, UNTOUCHED));
                    client.store(first, self.content(index, place));
                    let good = client.scratch() + 8 * first as u64;
                    let kind = self.kind(index);
                    lay_out(client, kind, first, self.content(index, place));
                    kind.address(good, place.bytes, around)
                }
            };
        }
        if let Twist::Variant(variant) = self.twist
            && let Change::Value(value) = variant.change
        {
            registers[variant.argument] = register(client, value);
        }
        registers
    }

    fn kind(&self, argument: usize) -> Kind {
        match self.twist {
            Twist::Pointer(changed, kind) if changed == argument => kind,
            _ => Kind::Good,
        }
    }

    fn content(&self, argument: usize, place: &Place) -> u64 {
        match self.twist {
            Twist::Variant(Variant {
                argument: changed,
                change: Change::Content(content),
                ..
            }) if *changed == argument => *content,
            _ => place.content,
        }
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.call.name)?;
        match self.twist {
            Twist::Good => f.write_str(self.call.plain),
            Twist::Variant(variant) => f.write_str(variant.name),
            Twist::Pointer(index, kind) => match self.call.arguments[index] {
                Argument::Pointer(place) => write!(f, "{}:{}", place.name, kind.name()),
                Argument::Value(_) => Err(fmt::Error),
            },
        }
    }
}

/// What a good pointer would lead to is also where some bad ones lead: a firmware that takes them
/// then works with the same.
fn lay_out(client: &impl Client, kind: Kind, first: usize, content: u64) {
    match kind {
        Kind::Null => client.store_low(true, content),
        Kind::Vectors => client.store_low(false, content),
        Kind::Misaligned => {
            client.store(first, 0xa5 << 56 | content >> 8);
            client.store(first + 1, content << 56 | UNTOUCHED >> 8);
        }
        _ => {}
    }
}

fn register(client: &impl Client, value: Value) -> u64 {
    match value {
        Value::Number(number) => number,
        Value::OwnPir => client.pir(),
        Value::OwnPirAndMore => client.pir() | 1 << 32,
    }
}

/// Calls again while the firmware says that it is busy, as an OS does.
pub(super) fn settled(client: &impl Client, token: u64, arguments: [u64; 8]) -> Answer {
    const BUSY: i64 = OpalError::Busy.code();
    const BUSY_EVENT: i64 = OpalError::BusyEvent.code();
    let mut answer = client.call(token, arguments);
    for _ in 0..PATIENCE {
        let (Answer::Returned(BUSY | BUSY_EVENT), false) =
            (answer, token == Token::PollEvents as u64)
        else {
            break;
        };
        client.call(Token::PollEvents as u64, [0; 8]);
        client.relax();
        answer = client.call(token, arguments);
    }
    answer
}

fn show(shown: Shown, before: u64, after: u64, out: &mut impl Write) -> fmt::Result {
    match shown {
        Shown::Bytes(bytes) => write!(out, "{:#x}", after >> (64 - 8 * bytes)),
        Shown::Written if before == after => out.write_str("untouched"),
        Shown::Written => out.write_str("written"),
        Shown::IsZero if after == 0 => out.write_str("0"),
        Shown::IsZero => out.write_str("some"),
    }
}

/// An answer as the lines have it.
pub(super) struct Code(pub(super) Answer);

impl Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Answer::Returned(code) => write!(f, "{code}"),
            Answer::Exception(vector) => write!(f, "exception {vector:#x}"),
        }
    }
}
