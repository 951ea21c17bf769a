//! The machine with an interrupt controller: the UART leads to it by the LPC bus and the PSI bridge.

use crate::machine::{Machine, no_timers};
use crate::model::{self, Model};
use opaline_firmware::console::Console;
use opaline_firmware::hardware::{Hardware, Pir};
use opaline_firmware::interrupts::{Interrupts, Unserved};
use opaline_firmware::platform::{self, Platform};
use opaline_firmware::xscom::Xscom;
use power_registers::{Hmer, Tfmr};
use xive_controller::{Bus as _, Generation};

const XSCOM: u64 = 0x6_03fc_0000_0000;
const XSCOM_BYTES: u64 = 1 << 34;
const LPC: u64 = 0x6_0300_0000_0000;
const LPC_BYTES: u64 = 1 << 32;
const UART_BIT: u32 = 1 << (31 - 4);

/// Serial interrupts of the LPC bus: control, mask, status, routes.
#[derive(Debug, Default)]
struct Serial {
    control: u32,
    mask: u32,
    status: u32,
    routes: u32,
}

pub(crate) struct Wired {
    pub(crate) machine: Machine,
    pub(crate) model: Model,
    generation: Generation,
    serial: Serial,
    levels: [bool; 4],
}

impl Wired {
    pub(crate) fn new(platform: &Platform, generation: Generation, model: Model) -> Self {
        let mut machine = Machine::new();
        machine.pir = platform.cores[0].threads[0].0;
        Self {
            machine,
            model,
            generation,
            serial: Serial::default(),
            levels: [false; 4],
        }
    }

    /// Chip and offset of an address in the windows of SCOM registers.
    fn scom_window(&self, address: u64) -> Option<(u32, u64)> {
        let stride = match self.generation {
            Generation::First => 1_u64 << 42,
            Generation::Second => 1 << 44,
        };
        let offset = address.checked_sub(XSCOM)?;
        let (chip, within) = ((offset / stride) as u32, offset % stride);
        (within < XSCOM_BYTES).then_some((chip, within))
    }

    /// Somebody types.
    pub(crate) fn type_text(&mut self, text: &[u8]) {
        self.machine.serial().input.extend(text);
        self.settle();
    }

    /// Lets the levels follow the UART.
    fn settle(&mut self) {
        let uart = self.machine.serial();
        if uart.announces && !uart.input.is_empty() {
            self.serial.status |= UART_BIT;
        }
        let comes = self.serial.control >> 31 != 0 && self.serial.status & self.serial.mask != 0;
        let line = (self.serial.routes >> 18 & 3) as usize;
        for (index, level) in self.levels.iter_mut().enumerate() {
            let now = comes && index == line;
            if core::mem::replace(level, now) != now {
                self.model.set_level(0, 7 + index as u32, now);
            }
        }
    }
}

/// Brings a platform's controller up.
pub(crate) fn bring_up(
    platform: &'static Platform,
) -> (Wired, Result<Interrupts<'static>, Unserved>) {
    let chips: Vec<u32> = platform.chips.iter().map(|chip| chip.id.0).collect();
    let memory = model::memory(&chips);
    let threads = platform.cores.iter().flat_map(|core| &core.threads);
    let threads: Vec<u32> = threads.map(|pir| pir.0).collect();
    let generation = match platform.generation {
        platform::Generation::Power10 => Generation::Second,
        _ => Generation::First,
    };
    let model = Model::new(generation, &memory, &threads);
    let mut wired = Wired::new(platform, generation, model);
    let interrupts = Interrupts::bring_up(&mut wired, platform, &Xscom::new(), &memory);
    (wired, interrupts)
}

/// A console whose UART tells of input.
pub(crate) fn console(wired: &mut Wired, platform: &Platform) -> Console<'static> {
    let console = Console::new(None);
    console.initialise(wired, platform, &Xscom::new()).unwrap();
    console
        .announce_input(wired, platform, &Xscom::new())
        .unwrap();
    console
}

impl Hardware for Wired {
    fn pir(&self) -> Pir {
        self.machine.pir()
    }
    fn tfmr(&mut self) -> Tfmr {
        self.machine.tfmr()
    }
    fn set_tfmr(&mut self, value: Tfmr) {
        self.machine.set_tfmr(value);
    }
    fn hmer(&mut self) -> Hmer {
        self.machine.hmer()
    }
    fn and_hmer(&mut self, keep: u64) {
        self.machine.and_hmer(keep);
    }
    fn hmeer(&mut self) -> Hmer {
        self.machine.hmeer()
    }
    fn set_hmeer(&mut self, value: Hmer) {
        self.machine.set_hmeer(value);
    }
    fn hid0(&mut self) -> u64 {
        self.machine.hid0()
    }
    fn set_hid0(&mut self, value: u64) {
        self.machine.set_hid0(value);
    }
    fn wake(&mut self, thread: Pir) {
        self.machine.wake(thread);
    }
    fn timebase(&mut self) -> u64 {
        self.machine.timebase()
    }
    no_timers!();

    fn load(&mut self, address: u64) -> u64 {
        if self.scom_window(address).is_some() {
            // No register of these is there.
            self.machine.hmer |= 1 << (63 - 9) | 1 << (63 - 8);
            return 0;
        }
        self.model.thread = self.machine.pir;
        self.model.load(address)
    }

    fn store(&mut self, address: u64, value: u64) {
        self.model.thread = self.machine.pir;
        if let Some((chip, offset)) = self.scom_window(address) {
            let register = (offset >> 3) as u32;
            let is_there = match self.generation {
                Generation::First => matches!(register, 0x501_3000..0x501_3300 | 0x501_290a),
                Generation::Second => matches!(register, 0x201_0800..0x201_0c00 | 0x301_1d0a),
            };
            let done = is_there && self.model.scom(chip, register, value);
            self.machine.hmer |= 1 << (63 - 9);
            self.machine.hmer |= u64::from(!done) << (63 - 8);
        } else {
            self.model.store(address, value);
        }
    }

    fn load_half_word(&mut self, address: u64) -> u16 {
        self.model.thread = self.machine.pir;
        self.model.load_half_word(address)
    }

    fn load_word(&mut self, address: u64) -> u32 {
        panic!("nothing is read at {address:#x}");
    }

    fn store_word(&mut self, address: u64, value: u32) {
        self.model.thread = self.machine.pir;
        match address.wrapping_sub(LPC) {
            0xc001_2030 => self.serial.control = value,
            0xc001_2034 => self.serial.mask = value,
            0xc001_2038 => self.serial.status &= !value,
            0xc001_0008 => assert_eq!(value, 0),
            0xc001_000c => self.serial.routes = value,
            _ => return self.model.store_word(address, value),
        }
        self.settle();
    }

    fn load_byte(&mut self, address: u64) -> u8 {
        let value = self.machine.load_byte(address);
        self.settle();
        value
    }

    fn store_byte(&mut self, address: u64, value: u8) {
        if address.wrapping_sub(LPC) < LPC_BYTES {
            self.machine.store_byte(address, value);
            self.settle();
        } else {
            self.model.thread = self.machine.pir;
            self.model.store_byte(address, value);
        }
    }

    fn relax(&mut self) {
        self.machine.relax();
    }
}
