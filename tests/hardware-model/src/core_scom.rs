//! A core as SCOM sees it: FIR, error injection, HMER and TFMR from outside, sleep and wakeup.

use crate::configuration::{Configuration, Generation, Start, TimebaseCopies};
use crate::fault::{CoreError, ThreadError};
use crate::fir::{Fir, WOF};
use crate::model::Model;
use crate::scom::{STATUS_INVALID_ADDRESS, STATUS_PARTIAL_GOOD};
use crate::scom_map::CoreRegister;
use power_registers::{Hmer, ibm};

/// Special wakeup is wanted.
const WAKE: u64 = ibm(0);
/// HID0 of POWER8: split among two or four.
const HID0_TWO: u64 = ibm(6);
const HID0_FOUR: u64 = ibm(2);
/// HID0 of POWER10: recovery is off on purpose.
const HID0_NO_RECOVERY: u64 = ibm(5);

#[derive(Clone, Debug)]
pub(crate) struct CoreScom {
    pub(crate) fir: Fir,
    pub(crate) sprc: u64,
    pub(crate) hid0: u64,
    injector: u64,
    /// What SCOM answers while the core sleeps.
    pub(crate) asleep: Option<u8>,
    /// POWER9: lost after a wakeup.
    pub(crate) lost: bool,
    /// When special wakeup is done, if it is wanted.
    woken_at: Option<u64>,
    pub(crate) checkstopped: bool,
}

impl CoreScom {
    pub(crate) fn new(configuration: &Configuration) -> Self {
        let hid0 = match (configuration.generation, configuration.copies) {
            (Generation::Power8, TimebaseCopies::SubCores(2)) => HID0_TWO,
            (Generation::Power8, TimebaseCopies::SubCores(4)) => HID0_FOUR,
            (Generation::Power10, _) if configuration.start == Start::Running => HID0_NO_RECOVERY,
            _ => 0,
        };
        Self {
            fir: Fir::default(),
            sprc: 0,
            hid0,
            injector: 0,
            asleep: None,
            lost: false,
            woken_at: None,
            checkstopped: false,
        }
    }

    fn is_woken(&self, now: u64) -> bool {
        self.woken_at.is_some_and(|at| now >= at)
    }

    /// What every access to the core answers, if it answers nothing better.
    fn refusal(&self, register: CoreRegister, now: u64) -> Option<u8> {
        if matches!(register, CoreRegister::Wakeup | CoreRegister::WakeupDone) {
            return None;
        }
        if let Some(status) = self.asleep
            && !self.is_woken(now)
        {
            return Some(status);
        }
        // The erratum concerns 0x20010a00 to 0x20010abf of the core.
        (self.lost && register != CoreRegister::FindAgain).then_some(STATUS_INVALID_ADDRESS)
    }
}

impl Model {
    /// The core that a core register's address means, or the answer when it has none.
    fn scom_core(&self, chip: usize, core: usize, register: CoreRegister) -> Result<usize, u8> {
        if core >= self.configuration.cores_per_chip {
            return Err(STATUS_PARTIAL_GOOD);
        }
        let core = chip * self.configuration.cores_per_chip + core;
        match self.core_scoms[core].refusal(register, self.now) {
            Some(status) => Err(status),
            None => Ok(core),
        }
    }

    pub(crate) fn core_scom_read(
        &mut self,
        chip: usize,
        core: usize,
        register: CoreRegister,
    ) -> Result<u64, u8> {
        let core = self.scom_core(chip, core, register)?;
        let scom = &self.core_scoms[core];
        let generation = self.configuration.generation;
        Ok(match register {
            CoreRegister::Fir(WOF) if generation == Generation::Power8 => {
                return Err(STATUS_INVALID_ADDRESS);
            }
            CoreRegister::Fir(offset) => scom.fir.read(offset).ok_or(STATUS_INVALID_ADDRESS)?,
            CoreRegister::Inject => scom.injector,
            CoreRegister::Sprc => scom.sprc,
            CoreRegister::Sprd => self.selected_tfmr(core),
            CoreRegister::Hmeer => self.cores[core].hmeer,
            CoreRegister::Wakeup => {
                if scom.woken_at.is_some() {
                    WAKE
                } else {
                    0
                }
            }
            CoreRegister::WakeupDone => {
                let done = match generation {
                    Generation::Power8 => ibm(31),
                    Generation::Power9 | Generation::Power10 => ibm(1),
                };
                if scom.is_woken(self.now) { done } else { 0 }
            }
            CoreRegister::HmerOr(_)
            | CoreRegister::HmerAnd(_)
            | CoreRegister::FindAgain
            | CoreRegister::Unknown => return Err(STATUS_INVALID_ADDRESS),
        })
    }

    pub(crate) fn core_scom_write(
        &mut self,
        chip: usize,
        core: usize,
        register: CoreRegister,
        value: u64,
    ) -> Result<(), u8> {
        let core = self.scom_core(chip, core, register)?;
        let now = self.now;
        let threads = self.configuration.threads_per_core;
        match register {
            CoreRegister::Fir(offset) => {
                let set = self.core_scoms[core].fir.write(offset, value);
                let set = set.ok_or(STATUS_INVALID_ADDRESS)?;
                if set != 0 {
                    self.core_fir(core, set);
                }
            }
            CoreRegister::Inject => {
                self.core_scoms[core].injector = value;
                self.inject_by_scom(core, value);
            }
            CoreRegister::Sprc => self.core_scoms[core].sprc = value,
            CoreRegister::HmerOr(number) if number < threads => {
                self.threads[core * threads + number].raise(value);
            }
            CoreRegister::HmerAnd(number) if number < threads => {
                self.threads[core * threads + number].hmer &= value;
            }
            CoreRegister::Hmeer => self.cores[core].hmeer = value & Hmer::IMPLEMENTED,
            CoreRegister::Wakeup => {
                let at = now + self.configuration.costs.wakeup;
                let scom = &mut self.core_scoms[core];
                scom.woken_at = (value & WAKE != 0).then(|| scom.woken_at.unwrap_or(at));
            }
            CoreRegister::FindAgain => {
                for core in self.cores_of(chip) {
                    self.core_scoms[core].lost = false;
                }
                // The write itself is expected to fail.
                return Err(STATUS_INVALID_ADDRESS);
            }
            CoreRegister::Sprd
            | CoreRegister::WakeupDone
            | CoreRegister::HmerOr(_)
            | CoreRegister::HmerAnd(_)
            | CoreRegister::Unknown => return Err(STATUS_INVALID_ADDRESS),
        }
        Ok(())
    }

    /// What SPRD shows: TFMR of the thread that SPRC selects, as it is.
    pub(crate) fn selected_tfmr(&mut self, core: usize) -> u64 {
        let select = self.core_scoms[core].sprc >> 3 & 0x7f;
        let number = (select as usize).wrapping_sub(8);
        if number >= self.configuration.threads_per_core {
            return 0;
        }
        if self.cores[core].corrupt {
            return self.random.word() | ibm(60);
        }
        let view = self.tod_view(self.configuration.chip_of(core));
        self.cores[core].true_tfmr(number, self.now, view)
    }

    /// The injection register of real machines: a code, and the threads that it is for.
    fn inject_by_scom(&mut self, core: usize, value: u64) {
        let threads = self.configuration.threads_per_core;
        for number in (0..threads).filter(|number| value & ibm(20 + *number as u32) != 0) {
            let thread = core * threads + number;
            match value >> 48 & 0x3f {
                1 => self.fail_core(core, CoreError::TfmrCorrupt { tb_survives: false }),
                2 => self.fail_core(core, CoreError::HdecParity),
                3 => self.fail_core(core, CoreError::TbResidue),
                4 => self.fail_thread(thread, ThreadError::PurrParity),
                5 => self.fail_thread(thread, ThreadError::SpurrParity),
                6 => self.fail_thread(thread, ThreadError::DecParity),
                _ => {}
            }
        }
    }

    /// Bits of a core's FIR came on, with what they mean in this generation.
    pub(crate) fn core_fir(&mut self, core: usize, bits: u64) {
        let classes = FirClasses::of(self.configuration.generation);
        let fir = &mut self.core_scoms[core].fir;
        fir.set(bits);
        let bits = bits & !fir.mask;
        if bits & classes.recoverable != 0 {
            self.recovered(core, Hmer::PROC_RECV_DONE);
        }
        if bits & classes.masked_recovery != 0 {
            self.recovered(core, Hmer::PROC_RECV_ERROR_MASKED);
        }
        if bits & classes.hypervisor_resource != 0 {
            self.broadcast(core, Hmer::HYP_RESOURCE_ERROR.bits());
        }
        if bits & classes.checkstop != 0 {
            self.core_scoms[core].checkstopped = true;
            self.stopped = true;
            self.alert(self.configuration.chip_of(core));
        }
    }

    /// HMER 2 or 3 in all threads of the core; 11 beside it where one is still on.
    pub(crate) fn recovered(&mut self, core: usize, cause: Hmer) {
        let earlier = (Hmer::PROC_RECV_DONE | Hmer::PROC_RECV_ERROR_MASKED).bits();
        let threads = self.configuration.threads_per_core;
        for thread in &mut self.threads[core * threads..(core + 1) * threads] {
            let again = if thread.hmer & earlier == 0 {
                0
            } else {
                Hmer::PROC_RECV_AGAIN.bits()
            };
            thread.raise(cause.bits() | again);
        }
    }
}

/// What the bits of a core's FIR bring about.
struct FirClasses {
    recoverable: u64,
    masked_recovery: u64,
    hypervisor_resource: u64,
    checkstop: u64,
}

impl FirClasses {
    const fn of(generation: Generation) -> Self {
        match generation {
            Generation::Power8 | Generation::Power9 => Self {
                recoverable: bits(&[0, 2, 4, 9, 11, 13, 24, 27, 29, 31, 33, 34, 35, 37, 39, 43]),
                masked_recovery: match generation {
                    Generation::Power8 => ibm(44),
                    _ => 0,
                },
                hypervisor_resource: ibm(48),
                checkstop: bits(&[3, 5, 8, 10, 12, 21, 25, 26, 32, 36, 38, 45, 52, 54, 63]),
            },
            Generation::Power10 => Self {
                recoverable: bits(&[0, 2, 4, 7, 9, 11, 18, 21, 24, 29, 31, 37, 43, 56, 61]),
                masked_recovery: 0,
                hypervisor_resource: 0,
                checkstop: bits(&[
                    1, 3, 5, 8, 12, 14, 16, 22, 23, 25, 28, 32, 36, 38, 41, 45, 47, 52, 57, 58, 62,
                    63,
                ]),
            },
        }
    }
}

const fn bits(numbers: &[u32]) -> u64 {
    let mut all = 0;
    let mut at = 0;
    while at < numbers.len() {
        all |= ibm(numbers[at]);
        at += 1;
    }
    all
}
