//! The calls of the interrupt controller, where the machine has one that they are for: from POWER9 on.
//!
//! What one call gives another gets, so they are made in this order, by the boot thread alone. Numbers of
//! interrupts and virtual processors are each firmware's own: a line tells only that there is one. No
//! interrupt is let through.

use super::calls::UNTOUCHED;
use super::case::settled;
use super::wanted::Wanted;
use crate::client::{Answer, Client};
use crate::line::{Line, print};
use crate::tree::Machine;
use core::fmt::{self, Write as _};
use opal_abi::xive::XiveToken;

/// How an answer in memory is told.
#[derive(Clone, Copy)]
enum Told {
    /// The number, in so many bytes.
    Bytes(u32),
    /// Whether it is 0, or was not written.
    Some,
    /// Whether it is the calling thread's PIR: another thread may boot each time.
    Own,
}

/// A place for an answer: its name.
type Place = (&'static str, Told);

const INFO: &[Place] = &[
    ("flags", Told::Bytes(8)),
    ("end", Told::Some),
    ("trigger", Told::Some),
    ("shift", Told::Bytes(4)),
    ("chip", Told::Bytes(4)),
];
const CONFIG: &[Place] = &[
    ("target", Told::Own),
    ("priority", Told::Bytes(1)),
    ("number", Told::Bytes(4)),
];
/// Of an interrupt that was never sent anywhere.
const NO_CONFIG: &[Place] = &[
    ("target", Told::Some),
    ("priority", Told::Bytes(1)),
    ("number", Told::Some),
];
const QUEUE: &[Place] = &[
    ("page", Told::Some),
    ("size", Told::Bytes(8)),
    ("end", Told::Some),
    ("escalation", Told::Some),
    ("flags", Told::Bytes(8)),
];
const TARGET: &[Place] = &[
    ("flags", Told::Bytes(8)),
    ("ring", Told::Some),
    ("report", Told::Bytes(8)),
    ("chip", Told::Bytes(4)),
];
const STATE: &[Place] = &[("generation", Told::Bytes(4)), ("index", Told::Bytes(4))];
const EVENTS: &[Place] = &[("events", Told::Bytes(8))];
const PENDING: &[Place] = &[("state", Told::Bytes(8))];

/// A number that no interrupt and no target has.
const UNKNOWN: u64 = 0xff_ffff;
/// The priority of the queue.
const PRIORITY: u64 = 6;
/// Log of its bytes: a page.
const SIZE: u64 = 12;
const ON: u64 = 1;
const ALWAYS: u64 = 2;

struct Script<'a, C> {
    client: &'a C,
    wanted: &'a Wanted<'a>,
}

/// Runs the cases.
pub(super) fn run<C: Client>(
    client: &C,
    machine: &Machine<'_>,
    wanted: &Wanted<'_>,
) -> fmt::Result {
    let Some(console) = machine.console_interrupt else {
        return Ok(());
    };
    if !wanted.is_whole() {
        return Ok(());
    }
    Script { client, wanted }.all(console.into())
}

impl<C: Client> Script<'_, C> {
    fn all(&self, console: u64) -> fmt::Result {
        self.resets()?;
        self.console(console)?;
        let allocate = XiveToken::AllocateIrq;
        let interrupt = self.gives(allocate, "XIVE_ALLOCATE_IRQ.good", &[0])?;
        self.source(interrupt)?;
        let allocate = XiveToken::AllocateVpBlock;
        let first = self.gives(allocate, "XIVE_ALLOCATE_VP_BLOCK.good", &[2])?;
        self.targets(first)?;
        self.queue(interrupt)?;
        self.ends(interrupt, first)
    }

    /// Makes a call whose arguments after `first` lead to places, and tells what came of it.
    fn call(
        &self,
        token: XiveToken,
        name: &str,
        first: &[u64],
        places: &[Place],
    ) -> Result<Answer, fmt::Error> {
        let mut arguments = [0; 8];
        arguments[..first.len()].copy_from_slice(first);
        for (index, _) in places.iter().enumerate() {
            self.client.store(index, UNTOUCHED);
            arguments[first.len() + index] = self.client.scratch() + 8 * index as u64;
        }
        self.make(token, name, arguments, places, false)
    }

    fn make(
        &self,
        token: XiveToken,
        name: &str,
        arguments: [u64; 8],
        places: &[Place],
        gives: bool,
    ) -> Result<Answer, fmt::Error> {
        if !self.wanted.wants(&name) {
            return Ok(Answer::Returned(0));
        }
        let answer = settled(self.client, token as u64, arguments);
        let mut line = Line::new();
        match answer {
            Answer::Returned(1..) if gives => line.write_str("a number")?,
            Answer::Returned(code) => write!(line, "{code}")?,
            Answer::Exception(vector) => write!(line, "exception {vector:#x}")?,
        }
        for (index, (name, told)) in places.iter().enumerate() {
            let value = self.client.load(index);
            match told {
                _ if answer != Answer::Returned(0) && value == UNTOUCHED => {}
                Told::Bytes(bytes) => write!(line, " {name}={:#x}", value >> (64 - 8 * bytes))?,
                Told::Some if value == UNTOUCHED => write!(line, " {name}=untouched")?,
                Told::Some if value == 0 => write!(line, " {name}=0")?,
                Told::Some => write!(line, " {name}=some")?,
                Told::Own if value == self.client.pir() => write!(line, " {name}=own")?,
                Told::Own => write!(line, " {name}=another")?,
            }
        }
        let number = token as u64;
        print(
            self.client,
            format_args!("{number} {name} -> {}", line.as_str()),
        )?;
        Ok(answer)
    }

    /// A call that gives a number.
    fn gives(&self, token: XiveToken, name: &str, first: &[u64]) -> Result<u64, fmt::Error> {
        let mut arguments = [0; 8];
        arguments[..first.len()].copy_from_slice(first);
        Ok(match self.make(token, name, arguments, &[], true)? {
            Answer::Returned(number @ 1..) => number as u64,
            _ => UNKNOWN,
        })
    }

    fn plain(&self, token: XiveToken, name: &str, first: &[u64]) -> fmt::Result {
        self.call(token, name, first, &[]).map(drop)
    }

    fn resets(&self) -> fmt::Result {
        let reset = XiveToken::Reset;
        self.plain(reset, "XIVE_RESET.mode:2", &[2])?;
        self.plain(reset, "XIVE_RESET.mode:-1", &[u64::MAX])?;
        self.plain(reset, "XIVE_RESET.good", &[1])?;
        self.plain(reset, "XIVE_RESET.again", &[1])
    }

    fn console(&self, number: u64) -> fmt::Result {
        let handle = XiveToken::HandleInterrupt;
        self.call(handle, "HANDLE_INTERRUPT.good", &[number], EVENTS)?;
        self.call(
            handle,
            "HANDLE_INTERRUPT.interrupt:unknown",
            &[UNKNOWN],
            EVENTS,
        )?;
        self.call(
            XiveToken::GetIrqInfo,
            "XIVE_GET_IRQ_INFO.console",
            &[number],
            INFO,
        )?;
        let config = XiveToken::GetIrqConfig;
        self.call(config, "XIVE_GET_IRQ_CONFIG.console", &[number], NO_CONFIG)
            .map(drop)
    }

    fn source(&self, number: u64) -> fmt::Result {
        let info = XiveToken::GetIrqInfo;
        self.call(info, "XIVE_GET_IRQ_INFO.good", &[number], INFO)?;
        self.call(
            info,
            "XIVE_GET_IRQ_INFO.interrupt:unknown",
            &[UNKNOWN],
            INFO,
        )?;
        self.call(info, "XIVE_GET_IRQ_INFO.interrupt:0", &[0], INFO)?;
        let get = XiveToken::GetIrqConfig;
        self.call(
            get,
            "XIVE_GET_IRQ_CONFIG.interrupt:unknown",
            &[UNKNOWN],
            CONFIG,
        )?;
        let allocate = XiveToken::AllocateIrq;
        self.plain(allocate, "XIVE_ALLOCATE_IRQ.chip:unknown", &[99])?;
        let sync = XiveToken::Sync;
        self.plain(sync, "XIVE_SYNC.source", &[1, number])?;
        self.plain(sync, "XIVE_SYNC.queue", &[2, number])?;
        self.plain(sync, "XIVE_SYNC.interrupt:unknown", &[1, UNKNOWN])?;
        self.plain(sync, "XIVE_SYNC.kind:unknown", &[8, number])
    }

    fn targets(&self, first: u64) -> fmt::Result {
        let allocate = XiveToken::AllocateVpBlock;
        self.plain(allocate, "XIVE_ALLOCATE_VP_BLOCK.order:40", &[40])?;
        let (get, set) = (XiveToken::GetVpInfo, XiveToken::SetVpInfo);
        self.call(get, "XIVE_GET_VP_INFO.off", &[first + 1], TARGET)?;
        self.plain(set, "XIVE_SET_VP_INFO.good", &[first + 1, ON, 0])?;
        self.call(get, "XIVE_GET_VP_INFO.good", &[first + 1], TARGET)?;
        self.call(get, "XIVE_GET_VP_INFO.target:unknown", &[UNKNOWN], TARGET)?;
        self.plain(set, "XIVE_SET_VP_INFO.target:unknown", &[UNKNOWN, ON, 0])?;
        let state = XiveToken::GetVpState;
        self.call(state, "XIVE_GET_VP_STATE.good", &[first + 1], PENDING)?;
        self.call(state, "XIVE_GET_VP_STATE.off", &[first], PENDING)?;
        self.call(
            state,
            "XIVE_GET_VP_STATE.target:unknown",
            &[UNKNOWN],
            PENDING,
        )?;
        self.plain(XiveToken::Dump, "XIVE_DUMP.target", &[4, first + 1])?;
        self.plain(XiveToken::Dump, "XIVE_DUMP.kind:unknown", &[99, 0])?;
        let free = XiveToken::FreeVpBlock;
        self.plain(free, "XIVE_FREE_VP_BLOCK.active", &[first])?;
        self.plain(free, "XIVE_FREE_VP_BLOCK.within", &[first + 1])?;
        self.plain(free, "XIVE_FREE_VP_BLOCK.target:unknown", &[UNKNOWN])
    }

    fn queue(&self, interrupt: u64) -> fmt::Result {
        let (pir, page) = (self.client.pir(), self.client.scratch());
        let (get, set) = (XiveToken::GetQueueInfo, XiveToken::SetQueueInfo);
        let way = XiveToken::SetIrqConfig;
        self.call(get, "XIVE_GET_QUEUE_INFO.off", &[pir, PRIORITY], QUEUE)?;
        let state = XiveToken::GetQueueState;
        self.call(state, "XIVE_GET_QUEUE_STATE.off", &[pir, PRIORITY], STATE)?;
        let on = |page, size, flags| [pir, PRIORITY, page, size, flags];
        self.plain(
            set,
            "XIVE_SET_QUEUE_INFO.size:13",
            &on(page, 13, ON | ALWAYS),
        )?;
        let odd = on(page + 8, SIZE, ON | ALWAYS);
        self.plain(set, "XIVE_SET_QUEUE_INFO.page:misaligned", &odd)?;
        self.plain(
            set,
            "XIVE_SET_QUEUE_INFO.good",
            &on(page, SIZE, ON | ALWAYS),
        )?;
        self.call(get, "XIVE_GET_QUEUE_INFO.good", &[pir, PRIORITY], QUEUE)?;
        self.call(get, "XIVE_GET_QUEUE_INFO.priority:8", &[pir, 8], QUEUE)?;
        self.call(
            get,
            "XIVE_GET_QUEUE_INFO.target:unknown",
            &[UNKNOWN, PRIORITY],
            QUEUE,
        )?;
        let wrong = [UNKNOWN, PRIORITY, page, SIZE, ON];
        self.plain(set, "XIVE_SET_QUEUE_INFO.target:unknown", &wrong)?;
        self.plain(
            set,
            "XIVE_SET_QUEUE_INFO.priority:8",
            &[pir, 8, page, SIZE, ON],
        )?;
        self.call(state, "XIVE_GET_QUEUE_STATE.good", &[pir, PRIORITY], STATE)?;
        let move_to = XiveToken::SetQueueState;
        self.plain(move_to, "XIVE_SET_QUEUE_STATE.good", &[pir, PRIORITY, 0, 5])?;
        self.call(state, "XIVE_GET_QUEUE_STATE.moved", &[pir, PRIORITY], STATE)?;
        self.plain(
            move_to,
            "XIVE_SET_QUEUE_STATE.target:unknown",
            &[UNKNOWN, PRIORITY, 0, 0],
        )?;
        self.plain(
            way,
            "XIVE_SET_IRQ_CONFIG.good",
            &[interrupt, pir, PRIORITY, 77],
        )?;
        let found = XiveToken::GetIrqConfig;
        self.call(found, "XIVE_GET_IRQ_CONFIG.good", &[interrupt], CONFIG)?;
        let unknown = [UNKNOWN, pir, PRIORITY, 77];
        self.plain(way, "XIVE_SET_IRQ_CONFIG.interrupt:unknown", &unknown)?;
        let unknown = [interrupt, UNKNOWN, PRIORITY, 77];
        self.plain(way, "XIVE_SET_IRQ_CONFIG.target:unknown", &unknown)?;
        self.plain(
            way,
            "XIVE_SET_IRQ_CONFIG.priority:8",
            &[interrupt, pir, 8, 77],
        )?;
        self.plain(
            way,
            "XIVE_SET_IRQ_CONFIG.queue:off",
            &[interrupt, pir, 5, 77],
        )?;
        self.plain(way, "XIVE_SET_IRQ_CONFIG.off", &[interrupt, pir, 0xff, 78])?;
        self.call(found, "XIVE_GET_IRQ_CONFIG.off", &[interrupt], CONFIG)?;
        self.plain(set, "XIVE_SET_QUEUE_INFO.off", &on(0, 0, 0))
    }

    fn ends(&self, interrupt: u64, first: u64) -> fmt::Result {
        let free = XiveToken::FreeIrq;
        self.plain(free, "XIVE_FREE_IRQ.good", &[interrupt])?;
        self.plain(free, "XIVE_FREE_IRQ.again", &[interrupt])?;
        self.plain(free, "XIVE_FREE_IRQ.interrupt:unknown", &[UNKNOWN])?;
        self.plain(
            XiveToken::SetVpInfo,
            "XIVE_SET_VP_INFO.off",
            &[first + 1, 0, 0],
        )?;
        self.plain(XiveToken::FreeVpBlock, "XIVE_FREE_VP_BLOCK.good", &[first])?;
        self.plain(XiveToken::Reset, "XIVE_RESET.emulation", &[0])
    }
}

/// Numbers of the tokens that are called when everything goes well.
#[cfg(test)]
pub(super) fn called() -> std::collections::BTreeSet<u64> {
    tests::run().calls.into_inner()
}

#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::alone::{Alone, Firmware};
    use core::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    /// A firmware that answers every call with success, or with a number.
    #[derive(Default)]
    pub(super) struct Agreeable {
        pub(super) calls: RefCell<BTreeSet<u64>>,
        lines: Cell<u32>,
    }

    impl Firmware for Agreeable {
        fn answer(&self, _: &mut [u64], token: u64, _: [u64; 8]) -> i64 {
            self.calls.borrow_mut().insert(token);
            if token == opal_abi::Token::ConsoleWrite as u64 {
                self.lines.set(self.lines.get() + 1);
            }
            let allocates = [XiveToken::AllocateIrq, XiveToken::AllocateVpBlock];
            i64::from(allocates.iter().any(|call| *call as u64 == token))
        }
    }

    pub(super) fn run() -> Agreeable {
        let client = Alone::new(Agreeable::default());
        let wanted = Wanted::read("conformance");
        let script = Script {
            client: &client,
            wanted: &wanted,
        };
        script.all(1).unwrap();
        client.firmware
    }

    #[test]
    fn each_call_has_a_line() {
        assert!(run().lines.get() > 50);
    }
}
