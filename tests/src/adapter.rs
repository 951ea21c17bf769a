use crate::schedule::{Kind, Turn, Wait};
use hardware_model::Thread;
use opaline_firmware::hardware::{Hardware, Pir};
use power_registers::Spr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Implements the firmware's hardware for a type that has `read(spr)` and `write(spr, value)`: the
/// methods of registers here, the others (`pir`, `load`, `store`, `relax`) as given.
#[macro_export]
macro_rules! hardware_by_registers {
    ($type:ty, { $($own:tt)* }) => {
        impl $crate::registers::Hardware for $type {
            $($own)*

            fn tfmr(&mut self) -> $crate::registers::Tfmr {
                $crate::registers::Tfmr::from_bits_retain(self.read($crate::registers::Spr::Tfmr))
            }
            fn set_tfmr(&mut self, value: $crate::registers::Tfmr) {
                self.write($crate::registers::Spr::Tfmr, value.bits());
            }
            fn hmer(&mut self) -> $crate::registers::Hmer {
                $crate::registers::Hmer::from_bits_retain(self.read($crate::registers::Spr::Hmer))
            }
            fn and_hmer(&mut self, keep: u64) {
                self.write($crate::registers::Spr::Hmer, keep);
            }
            fn hmeer(&mut self) -> $crate::registers::Hmer {
                $crate::registers::Hmer::from_bits_retain(self.read($crate::registers::Spr::Hmeer))
            }
            fn set_hmeer(&mut self, value: $crate::registers::Hmer) {
                self.write($crate::registers::Spr::Hmeer, value.bits());
            }
            fn hid0(&mut self) -> u64 {
                self.read($crate::registers::Spr::Hid0)
            }
            fn set_hid0(&mut self, value: u64) {
                self.write($crate::registers::Spr::Hid0, value);
            }
            fn wake(&mut self, _: $crate::registers::Pir) {}
            fn timebase(&mut self) -> u64 {
                self.read($crate::registers::Spr::Tb)
            }
            fn set_timebase_lower(&mut self, value: u32) {
                self.write($crate::registers::Spr::Tbwl, value.into());
            }
            fn set_timebase_upper(&mut self, value: u32) {
                self.write($crate::registers::Spr::Tbwu, value.into());
            }
            fn set_decrementer(&mut self, value: u64) {
                self.write($crate::registers::Spr::Dec, value);
            }
            fn set_hypervisor_decrementer(&mut self, value: u64) {
                self.write($crate::registers::Spr::Hdec, value);
            }
            fn purr(&mut self) -> u64 {
                self.read($crate::registers::Spr::Purr)
            }
            fn spurr(&mut self) -> u64 {
                self.read($crate::registers::Spr::Spurr)
            }
            fn set_purr(&mut self, value: u64) {
                self.write($crate::registers::Spr::Purr, value);
            }
            fn set_spurr(&mut self, value: u64) {
                self.write($crate::registers::Spr::Spurr, value);
            }
            fn load_half_word(&mut self, address: u64) -> u16 {
                panic!("the model has no register of this size at {address:#x}");
            }
            fn load_word(&mut self, address: u64) -> u32 {
                panic!("the model has no register of this size at {address:#x}");
            }
            fn store_word(&mut self, address: u64, _: u32) {
                panic!("the model has no register of this size at {address:#x}");
            }
            fn load_byte(&mut self, address: u64) -> u8 {
                panic!("the model has no byte at {address:#x}");
            }
            fn store_byte(&mut self, address: u64, _: u8) {
                panic!("the model has no byte at {address:#x}");
            }
        }
    };
}

/// A thread of the model as the firmware's hardware.
#[derive(Debug)]
pub struct ModelHardware<'a> {
    thread: Thread<'a>,
    turn: Option<Turn<'a>>,
    alone: bool,
    wait: Wait,
    death: Option<Death<'a>>,
    stall: Option<Stall>,
}

/// A thread that stands still for a while: the machine or a debugger holds it up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall {
    /// Accesses that it makes before.
    pub(crate) accesses: u64,
    /// How long, in microseconds.
    pub(crate) spins: u64,
}

/// A thread that dies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death<'a> {
    /// Accesses that it makes before.
    pub(crate) accesses: u64,
    /// Gets the bit of the thread.
    pub(crate) dead: &'a AtomicU64,
}

impl<'a> ModelHardware<'a> {
    /// The thread; with `turn`, each access waits for it.
    #[must_use]
    pub fn new(thread: Thread<'a>, turn: Option<Turn<'a>>) -> Self {
        let alone = false;
        Self {
            thread,
            turn,
            alone,
            wait: Wait::default(),
            death: None,
            stall: None,
        }
    }

    /// From here on the thread may die, if somebody decides over turns.
    pub(crate) const fn mortal(&mut self, death: Option<Death<'a>>) {
        self.death = death;
    }

    /// From here on the thread may stand still once, if somebody decides over turns.
    pub(crate) const fn stalling(&mut self, stall: Option<Stall>) {
        self.stall = stall;
    }

    /// The thread, while no other runs.
    #[must_use]
    pub fn alone(thread: Thread<'a>) -> Self {
        Self {
            thread,
            turn: None,
            alone: true,
            wait: Wait::default(),
            death: None,
            stall: None,
        }
    }

    fn turn(&mut self, kind: Kind) {
        if let Some(turn) = self.turn {
            if let Some(death) = &mut self.death {
                if death.accesses == 0 {
                    let bit = 1 << self.thread.index();
                    death.dead.fetch_or(bit, Ordering::SeqCst);
                    turn.die();
                }
                death.accesses -= 1;
            }
            if let Some(Stall { accesses, spins }) = self.stall {
                let left = accesses.checked_sub(1);
                self.stall = left.map(|accesses| Stall { accesses, spins });
                if left.is_none() {
                    (0..spins).for_each(|_| Hardware::relax(self));
                }
            }
            turn.pass(kind);
        }
    }

    fn look(&mut self) {
        if self.wait.look() {
            self.turn(Kind::Read);
        }
    }

    fn read(&mut self, spr: Spr) -> u64 {
        self.look();
        self.thread.read_spr(spr)
    }

    fn write(&mut self, spr: Spr, value: u64) {
        self.wait.end();
        self.turn(Kind::Write);
        self.thread.write_spr(spr, value);
    }
}

hardware_by_registers!(ModelHardware<'_>, {
    fn pir(&self) -> Pir {
        Pir(self
            .thread
            .machine()
            .configuration()
            .pir(self.thread.index()))
    }
    fn load(&mut self, address: u64) -> u64 {
        self.look();
        self.thread.load(address)
    }
    fn store(&mut self, address: u64, value: u64) {
        self.wait.end();
        self.turn(Kind::Write);
        self.thread.store(address, value);
    }
    fn relax(&mut self) {
        if self.wait.was_made() {
            return;
        }
        self.turn(Kind::Relax);
        self.thread.relax();
        if self.turn.is_none() && !self.alone {
            // A spin is a microsecond of the model, however busy the host is.
            std::thread::yield_now();
        }
    }
    fn relax_up_to(&mut self, most: u64) -> u64 {
        if self.wait.was_made() {
            return 1;
        }
        self.relax();
        let Some(turn) = self.turn else { return 1 };
        let spins = self.wait.spin(&turn, most);
        let machine = self.thread.machine();
        self.thread
            .pass(spins.more * machine.configuration().costs.relax);
        spins.counted
    }
});
