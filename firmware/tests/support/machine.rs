//! A machine with nothing but an LPC bus: a 16550 and a BMC, mapped or behind the ECCB of POWER8.
//! It panics at an access that real hardware would punish.

use opaline_firmware::hardware::{Hardware, Pir};
use power_registers::{Hmer, Tfmr};
use std::collections::VecDeque;

const LPC_BASE: u64 = 0x6_0300_0000_0000;
const IO_SPACE: u64 = 0xd001_0000;
/// ECCB registers of chip 0: control, status, data.
const ECCB: [u64; 3] = [0x3_fc00_00b0_0200, 0x3_fc00_00b0_0210, 0x3_fc00_00b0_0218];
const XSCOM_DONE: u64 = 1 << (63 - 9);
const XSCOM_FAIL: u64 = 1 << (63 - 8);
const ECCB_DONE: u64 = 1 << (63 - 52);

/// TFMR of a core at 1 GHz whose TB runs.
const RUNNING: u64 = 0x1212_0008_70e0_0000;

/// How the ECCB behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum EccbMood {
    #[default]
    Works,
    NeverDone,
    ReportsError,
    XscomFails,
}

/// The BT interface of a BMC.
#[derive(Debug, Default)]
pub(crate) struct Bmc {
    pub(crate) control: u8,
    buffer: Vec<u8>,
    answer: VecDeque<u8>,
    /// Requests that came.
    pub(crate) requests: Vec<Vec<u8>>,
    /// Its clock, in seconds since 1970.
    pub(crate) seconds: u32,
    /// Completion code of the answer.
    pub(crate) completion: u8,
    /// It takes requests and does not answer.
    pub(crate) silent: bool,
    /// It answers with this.
    pub(crate) garbage: Option<Vec<u8>>,
}

impl Bmc {
    fn write_control(&mut self, value: u8) {
        if value & 0x01 != 0 {
            self.buffer.clear();
        }
        if value & 0x08 != 0 {
            assert!(
                self.control & 0x40 != 0,
                "an answer is taken with H_BUSY only"
            );
            self.control &= !0x08;
        }
        if value & 0x40 != 0 {
            self.control ^= 0x40;
        }
        if value & 0x04 != 0 {
            assert_eq!(self.control & 0x88, 0, "no request while the BMC is busy");
            assert_eq!(usize::from(self.buffer[0]), self.buffer.len() - 1);
            self.requests.push(self.buffer[1..].to_vec());
            if self.silent {
                self.control |= 0x80;
                return;
            }
            let [function, sequence, command, ..] = self.buffer[1..] else {
                panic!("short")
            };
            let mut answer = vec![4, function | 4, sequence, command, self.completion];
            match (function >> 2, command) {
                (0x0a, 0x48) if self.completion == 0 => {
                    answer[0] += 4;
                    answer.extend(self.seconds.to_le_bytes());
                }
                (0x0a, 0x49) => {
                    let bytes = self.buffer[4..].try_into().expect("four bytes of time");
                    self.seconds = u32::from_le_bytes(bytes);
                }
                _ => {}
            }
            self.answer = self.garbage.clone().unwrap_or(answer).into();
            self.control |= 0x08;
        }
    }

    /// Leaves an answer that nobody asked for.
    pub(crate) fn leave_stale_answer(&mut self) {
        self.answer = vec![4, 0x1c, 9, 1, 0].into();
        self.control |= 0x08;
    }
}

/// The 16550.
#[derive(Debug, Default)]
pub(crate) struct Serial {
    pub(crate) sent: Vec<u8>,
    pub(crate) input: VecDeque<u8>,
    /// Bytes that the line still takes; `None` is no limit.
    pub(crate) line: Option<usize>,
    /// Reads of the line status.
    pub(crate) polls: usize,
    line_control: u8,
    /// It interrupts for received bytes.
    pub(crate) announces: bool,
    in_fifo: usize,
}

impl Serial {
    fn drain(&mut self) {
        match &mut self.line {
            None => self.in_fifo = 0,
            Some(left) => {
                let drained = self.in_fifo.min(*left);
                self.in_fifo -= drained;
                *left -= drained;
            }
        }
    }

    fn read(&mut self, register: u16) -> u8 {
        match register {
            0 => self.input.pop_front().expect("read although nothing waits"),
            3 => self.line_control,
            5 => {
                self.polls += 1;
                self.drain();
                u8::from(!self.input.is_empty()) | if self.in_fifo == 0 { 0x60 } else { 0 }
            }
            _ => panic!("register {register} is not needed"),
        }
    }

    fn write(&mut self, register: u16, value: u8) {
        match register {
            0 if self.line_control & 0x80 == 0 => {
                self.in_fifo += 1;
                assert!(self.in_fifo <= 16, "a byte is lost");
                self.sent.push(value);
            }
            1 if self.line_control & 0x80 == 0 => self.announces = value & 1 != 0,
            3 => self.line_control = value,
            _ => {}
        }
    }

    /// What was sent, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.sent).into_owned()
    }
}

/// Something that happens in the middle of an access, as an interrupt does.
#[derive(Default)]
pub(crate) struct Hook(pub(crate) Option<Box<dyn FnOnce()>>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "armed" } else { "none" })
    }
}

/// The machine as one thread sees it.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) pir: u32,
    pub(crate) serial: Option<Serial>,
    pub(crate) bmc: Option<Bmc>,
    pub(crate) mood: EccbMood,
    pub(crate) timebase: u64,
    pub(crate) spins: u64,
    pub(crate) tfmr: u64,
    pub(crate) hmer: u64,
    pub(crate) hid0: u64,
    /// PIRs of threads that were woken.
    pub(crate) woken: Vec<u32>,
    /// Happens at the next read of a port.
    pub(crate) hook: Hook,
    data: u64,
    status: u64,
}

impl Machine {
    /// A machine with UART and BMC.
    pub(crate) fn new() -> Self {
        Self {
            serial: Some(Serial::default()),
            bmc: Some(Bmc::default()),
            tfmr: RUNNING,
            ..Self::default()
        }
    }

    pub(crate) fn serial(&mut self) -> &mut Serial {
        self.serial.as_mut().unwrap()
    }

    pub(crate) fn bmc(&mut self) -> &mut Bmc {
        self.bmc.as_mut().unwrap()
    }

    fn read_port(&mut self, port: u64) -> u8 {
        if let Some(hook) = self.hook.0.take() {
            hook();
        }
        match (port, &mut self.serial, &mut self.bmc) {
            (0x3f8..=0x3ff, Some(serial), _) => serial.read((port - 0x3f8) as u16),
            (0xe4, _, Some(bmc)) => bmc.control,
            (0xe5, _, Some(bmc)) => bmc.answer.pop_front().unwrap_or(0),
            (0x3f8..=0x3ff | 0xe4..=0xe6, ..) => 0xff,
            _ => panic!("port {port:#x} is not needed"),
        }
    }

    fn write_port(&mut self, port: u64, value: u8) {
        match (port, &mut self.serial, &mut self.bmc) {
            (0x3f8..=0x3ff, Some(serial), _) => serial.write((port - 0x3f8) as u16, value),
            (0xe4, _, Some(bmc)) => bmc.write_control(value),
            (0xe5, _, Some(bmc)) => bmc.buffer.push(value),
            (0x3f8..=0x3ff | 0xe4..=0xe6, ..) => {}
            _ => panic!("port {port:#x} is not needed"),
        }
    }
}

/// Timers that nobody reads, for a machine that keeps no time.
macro_rules! no_timers {
    () => {
        fn set_timebase_lower(&mut self, _: u32) {}
        fn set_timebase_upper(&mut self, _: u32) {}
        fn set_decrementer(&mut self, _: u64) {}
        fn set_hypervisor_decrementer(&mut self, _: u64) {}
        fn purr(&mut self) -> u64 {
            0
        }
        fn spurr(&mut self) -> u64 {
            0
        }
        fn set_purr(&mut self, _: u64) {}
        fn set_spurr(&mut self, _: u64) {}
    };
}
#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use no_timers;

impl Hardware for Machine {
    fn pir(&self) -> Pir {
        Pir(self.pir)
    }
    fn tfmr(&mut self) -> Tfmr {
        Tfmr::from_bits_retain(self.tfmr)
    }
    fn set_tfmr(&mut self, value: Tfmr) {
        self.tfmr = value.bits();
    }
    fn hmer(&mut self) -> Hmer {
        Hmer::from_bits_retain(self.hmer)
    }
    fn and_hmer(&mut self, keep: u64) {
        self.hmer &= keep;
    }
    fn hmeer(&mut self) -> Hmer {
        Hmer::empty()
    }
    fn set_hmeer(&mut self, _: Hmer) {}
    fn hid0(&mut self) -> u64 {
        self.hid0
    }
    fn set_hid0(&mut self, value: u64) {
        self.hid0 = value;
    }
    fn wake(&mut self, thread: Pir) {
        self.woken.push(thread.0);
    }
    fn timebase(&mut self) -> u64 {
        self.timebase
    }
    no_timers!();

    fn load(&mut self, address: u64) -> u64 {
        self.hmer |= XSCOM_DONE;
        if self.mood == EccbMood::XscomFails || address != ECCB[1] {
            self.hmer |= XSCOM_FAIL;
            return 0;
        }
        self.status
    }

    fn store(&mut self, address: u64, value: u64) {
        self.hmer |= XSCOM_DONE;
        if self.mood == EccbMood::XscomFails {
            self.hmer |= XSCOM_FAIL;
            return;
        }
        if address == ECCB[2] {
            self.data = value;
        } else if address == ECCB[0] {
            let port = (value & 0xffff_ffff) - IO_SPACE;
            let byte = if value >> 32 == 0xd101_0100 {
                self.read_port(port)
            } else {
                assert_eq!(value >> 32, 0xd100_0100, "a command for one byte");
                self.write_port(port, (self.data >> 56) as u8);
                0xff
            };
            self.status = match self.mood {
                EccbMood::NeverDone => 0,
                EccbMood::ReportsError => ECCB_DONE | 1 << 18,
                _ => ECCB_DONE | u64::from(byte) << 50,
            };
        } else {
            self.hmer |= XSCOM_FAIL;
        }
    }

    fn load_half_word(&mut self, address: u64) -> u16 {
        panic!("nothing has such a register: {address:#x}");
    }
    fn load_word(&mut self, address: u64) -> u32 {
        panic!("nothing has such a register: {address:#x}");
    }
    fn store_word(&mut self, address: u64, _: u32) {
        panic!("nothing has such a register: {address:#x}");
    }

    fn load_byte(&mut self, address: u64) -> u8 {
        self.read_port(address.checked_sub(LPC_BASE + IO_SPACE).unwrap())
    }

    fn store_byte(&mut self, address: u64, value: u8) {
        self.write_port(address.checked_sub(LPC_BASE + IO_SPACE).unwrap(), value);
    }

    fn relax(&mut self) {
        self.spins += 1;
    }
}
