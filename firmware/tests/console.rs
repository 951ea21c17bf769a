//! LPC, BMC and console against a machine that has just these.

#[path = "support/machine.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod machine;

use machine::{EccbMood, Machine};
use opaline_firmware::console::{Console, ConsoleError, Patience};
use opaline_firmware::ipmi::{ChassisControl, IpmiError, chassis_control};
use opaline_firmware::logging::Level;
use opaline_firmware::lpc::{Lpc, LpcError};
use opaline_firmware::memory_console::MemoryConsole;
use opaline_firmware::platform::device_tree::console_only;
use opaline_firmware::platform::{Generation, Platform};
use opaline_firmware::xscom::{Xscom, XscomError};
use std::sync::mpsc;

const BOTH: [Generation; 2] = [Generation::Power8, Generation::Power9];

fn info() -> Level {
    log::Level::Info.into()
}

struct Bench {
    machine: Machine,
    platform: Platform,
    xscom: Xscom,
}

impl Bench {
    fn new(generation: Generation) -> Self {
        Self {
            machine: Machine::new(),
            platform: console_only(generation),
            xscom: Xscom::new(),
        }
    }

    fn initialised(generation: Generation) -> (Self, Console<'static>) {
        let mut bench = Self::new(generation);
        let console = Console::new(None);
        console
            .initialise(&mut bench.machine, &bench.platform, &bench.xscom)
            .unwrap();
        (bench, console)
    }

    fn log(&mut self, console: &Console<'_>, level: Level, patience: Patience, text: &str) {
        let (machine, text) = (&mut self.machine, format_args!("{text}"));
        console.log(machine, &self.platform, &self.xscom, level, patience, text);
    }

    fn write(
        &mut self,
        console: &Console<'_>,
        bytes: &[u8],
        patience: Patience,
    ) -> Result<usize, ConsoleError> {
        console.write(
            &mut self.machine,
            &self.platform,
            &self.xscom,
            bytes,
            patience,
        )
    }

    fn chassis(&mut self, control: ChassisControl) -> Result<(), IpmiError> {
        let lpc = Lpc::new();
        chassis_control(
            &mut self.machine,
            &self.platform,
            &self.xscom,
            &lpc,
            control,
        )
    }
}

#[test]
fn output_and_input_pass_on_both_kinds_of_bus() {
    for generation in BOTH {
        let (mut bench, console) = Bench::initialised(generation);
        let text = "The quick brown fox jumps over the lazy dog\n";
        assert_eq!(
            bench.write(&console, text.as_bytes(), Patience::Wait),
            Ok(text.len())
        );
        assert_eq!(bench.machine.serial().text(), text);
        bench.machine.serial().input.extend(b"yes\xff");
        let Bench {
            machine,
            platform,
            xscom,
        } = &mut bench;
        let patience = Patience::Wait;
        assert_eq!(
            console.input_waits(machine, platform, xscom, patience),
            Ok(true)
        );
        let mut place = [0; 8];
        assert_eq!(
            console.read(machine, platform, xscom, &mut place, patience),
            Ok(4)
        );
        assert_eq!(&place[..4], b"yes\xff");
        assert_eq!(
            console.input_waits(machine, platform, xscom, patience),
            Ok(false)
        );
        assert_eq!(console.room(machine, platform, xscom, patience), Ok(16));
    }
}

#[test]
fn log_lines_reach_terminal_and_memory_by_level() {
    let memory = Box::leak(Box::new(MemoryConsole::<512>::new()));
    memory.initialise(0x3100_0000);
    let mut bench = Bench::new(Generation::Power9);
    let console = Console::new(Some(memory.writer()));
    bench.machine.timebase = 512_000_000 * 285 + 256_000_000;
    bench.log(&console, info(), Patience::Wait, "before the UART");
    console
        .initialise(&mut bench.machine, &bench.platform, &bench.xscom)
        .unwrap();
    bench.log(&console, info(), Patience::Wait, "HMI: two\nlines");
    bench.log(
        &console,
        log::Level::Debug.into(),
        Patience::Wait,
        "for memory",
    );
    assert_eq!(
        bench.machine.serial().text(),
        "[  285.500000000,6] HMI: two\r\nlines\r\n"
    );
    let kept = format!("{memory:?}");
    let bytes: Vec<u8> = kept
        .split("output: [")
        .nth(1)
        .unwrap()
        .split(']')
        .next()
        .unwrap()
        .split(", ")
        .map(|byte| byte.trim().trim_end_matches(',').parse().unwrap())
        .take_while(|byte| *byte != 0)
        .collect();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "[  285.500000000,6] before the UART\n[  285.500000000,6] HMI: two\nlines\n\
         [  285.500000000,7] for memory\n"
    );
    assert_eq!(console.lost_lines(), 0);
}

#[test]
fn without_a_uart_the_os_writes_to_memory() {
    let mut bench = Bench::new(Generation::Power10);
    bench.machine.serial = None;
    let memory = Box::leak(Box::new(MemoryConsole::<64>::new()));
    memory.initialise(0);
    let console = Console::new(Some(memory.writer()));
    let Bench {
        machine,
        platform,
        xscom,
    } = &mut bench;
    assert_eq!(
        console.initialise(machine, platform, xscom),
        Err(ConsoleError::Absent)
    );
    assert_eq!(
        console.write(machine, platform, xscom, b"hello", Patience::Wait),
        Ok(5)
    );
    assert_eq!(
        console.read(machine, platform, xscom, &mut [0; 4], Patience::Wait),
        Ok(0)
    );
    assert_eq!(
        console.room(machine, platform, xscom, Patience::Wait),
        Ok(1024)
    );
    assert!(format!("{memory:?}").contains("104, 101, 108, 108, 111, 0"));
}

#[test]
fn a_stalled_line_is_awaited_once_and_then_only_looked_at() {
    let (mut bench, console) = Bench::initialised(Generation::Power9);
    bench.machine.serial().line = Some(0);
    assert_eq!(bench.write(&console, &[b'x'; 40], Patience::Wait), Ok(16));
    let polls = bench.machine.serial().polls;
    assert_eq!(bench.write(&console, b"y", Patience::Wait), Ok(0));
    bench.log(&console, info(), Patience::Wait, "lost");
    assert_eq!(bench.machine.serial().polls, polls + 2);
    assert_eq!(console.lost_lines(), 1);
    bench.machine.serial().line = None;
    assert_eq!(bench.write(&console, &[b'z'; 40], Patience::Wait), Ok(40));
    assert_eq!(bench.machine.serial().sent.len(), 56);
}

/// A call is interrupted while it holds the console, and the interruption prints too.
#[test]
fn a_held_console_is_not_awaited_for_ever() {
    let (mut bench, console) = Bench::initialised(Generation::Power9);
    let console: &Console<'_> = Box::leak(Box::new(console));
    let (sender, results) = mpsc::channel();
    bench.machine.hook.0 = Some(Box::new(move || {
        let mut inner = Bench::new(Generation::Power9);
        let quick = inner.write(console, b"inner", Patience::Try);
        assert_eq!(inner.machine.spins, 0);
        let slow = inner.write(console, b"inner", Patience::Wait);
        assert!(inner.machine.spins > 0);
        inner.log(console, info(), Patience::Wait, "dropped");
        let before = inner.machine.serial().text();
        inner.log(console, Level::EMERGENCY, Patience::LastWords, "last");
        let after = inner.machine.serial().text();
        sender.send((quick, slow, before, after)).unwrap();
    }));
    assert_eq!(bench.write(console, b"outer", Patience::Wait), Ok(5));
    let (quick, slow, before, after) = results.recv().unwrap();
    assert_eq!(
        (quick, slow),
        (Err(ConsoleError::Held), Err(ConsoleError::Held))
    );
    assert_eq!(
        (before.as_str(), after.as_str()),
        ("", "[    0.000000000,0] last\r\n")
    );
    assert_eq!(console.lost_lines(), 1);
    assert_eq!(bench.machine.serial().text(), "outer");
    assert_eq!(bench.write(console, b"!", Patience::Try), Ok(1));
}

#[test]
fn eccb_failures_are_typed_and_bounded() {
    let cases = [
        (EccbMood::NeverDone, LpcError::NeverDone),
        (
            EccbMood::ReportsError,
            LpcError::Failed { status: 0x4_0800 },
        ),
        (
            EccbMood::XscomFails,
            LpcError::Xscom(XscomError::Unspecified),
        ),
    ];
    for (mood, expected) in cases {
        let mut bench = Bench::new(Generation::Power8);
        bench.machine.mood = mood;
        let Bench {
            machine,
            platform,
            xscom,
        } = &mut bench;
        assert_eq!(
            Lpc::new().read(machine, platform, xscom, 0x3fd),
            Err(expected)
        );
        assert_eq!(
            Lpc::new().write(machine, platform, xscom, 0x3f8, 1),
            Err(expected)
        );
        let console = Console::new(None);
        let failed = Err(ConsoleError::Lpc(expected));
        assert_eq!(console.initialise(machine, platform, xscom), failed);
        assert_eq!(
            bench.chassis(ChassisControl::PowerDown),
            Err(IpmiError::Lpc(expected))
        );
    }
}

#[test]
fn the_bmc_is_asked_as_ipmi_says() {
    for generation in BOTH {
        let mut bench = Bench::new(generation);
        assert_eq!(bench.chassis(ChassisControl::PowerDown), Ok(()));
        assert_eq!(bench.chassis(ChassisControl::HardReset), Ok(()));
        assert_eq!(bench.machine.bmc().requests, [[0, 2, 2, 0], [0, 5, 2, 3]]);
        assert_eq!(bench.machine.bmc().control, 0);
    }
}

#[test]
fn each_failure_of_the_bmc_has_its_name() {
    type Change = fn(&mut Machine);
    let cases: &[(Change, Result<(), IpmiError>)] = &[
        (|m| m.bmc = None, Err(IpmiError::Absent)),
        (|m| m.bmc().control = 0x80, Err(IpmiError::Busy)),
        (|m| m.bmc().control = 0x04, Err(IpmiError::Busy)),
        (|m| m.bmc().silent = true, Err(IpmiError::NoAnswer)),
        (|m| m.bmc().completion = 0xc1, Err(IpmiError::Refused(0xc1))),
        (
            |m| m.bmc().garbage = Some(vec![4, 4, 2, 1, 0]),
            Err(IpmiError::Garbled),
        ),
        (
            |m| m.bmc().garbage = Some(vec![4, 4, 7, 2, 0]),
            Err(IpmiError::Garbled),
        ),
        (|m| m.bmc().garbage = Some(vec![]), Err(IpmiError::Garbled)),
        (|m| m.bmc().leave_stale_answer(), Ok(())),
    ];
    for (number, (change, expected)) in cases.iter().enumerate() {
        let mut bench = Bench::new(Generation::Power9);
        change(&mut bench.machine);
        assert_eq!(
            bench.chassis(ChassisControl::PowerDown),
            *expected,
            "case {number}"
        );
    }
}
