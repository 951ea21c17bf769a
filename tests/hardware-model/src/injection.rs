//! What a fault does to the machine.

use crate::chip_units::{Addresses, NX_HMI_ACTIVE, npu_fir};
use crate::configuration::Generation;
use crate::fault::{CommandFailure, CoreCause, CoreError, Fault, Impossible, ThreadError};
use crate::model::Model;
use power_registers::{Hmer, Tfmr, ibm};

impl Model {
    /// Inflicts a fault now.
    ///
    /// # Errors
    /// [`Impossible`] when this machine cannot have it; then nothing happened.
    pub fn inject(&mut self, fault: &Fault) -> Result<(), Impossible> {
        self.check(fault)?;
        let addresses = Addresses::of(self.configuration.generation);
        match fault {
            Fault::Core { core, error } => self.fail_core(*core, *error),
            Fault::Thread { thread, error } => self.fail_thread(*thread, *error),
            Fault::Tod { chip, bits } => self.fail_tod(*chip, *bits),
            Fault::Timebase { thread, value } => {
                let (core, number) = self.place(*thread);
                self.cores[core].damage_timebase(number, *value, self.now);
            }
            Fault::TodTime { chip, value } => self.tods[*chip].shift(*value & !0xf, self.now),
            Fault::TodStarts { chip, able } => self.tods[*chip].able = *able,
            Fault::Hmer { threads, bits } => {
                for thread in threads {
                    self.threads[*thread].raise(*bits);
                }
            }
            Fault::Cause { core, cause } => self.cause(*core, *cause),
            Fault::CoreFir { core, bits } => self.core_fir(*core, *bits),
            Fault::Nx { chip, dma, pbi } => {
                let unit = &mut self.units[*chip];
                unit.provide(addresses.nx_status, NX_HMI_ACTIVE);
                unit.attention(addresses.nx_dma_fir, *dma);
                unit.attention(addresses.nx_pbi_fir, *pbi);
                self.alert(*chip);
            }
            Fault::Capp { chip, unit, bits } => {
                let fir = addresses.capp_fir + self.configuration.capps[*unit];
                let unit = &mut self.units[*chip];
                unit.attention(fir, *bits);
                unit.provide(fir + 0xe, ibm(0));
                self.alert(*chip);
            }
            Fault::Npu {
                chip,
                unit,
                fir,
                bits,
            } => {
                let base = self.configuration.npus[*unit];
                let address = npu_fir(self.configuration.generation, base, *fir as u32);
                self.units[*chip].attention(address, *bits);
                self.alert(*chip);
            }
            Fault::Alert { chip } => self.alert(*chip),
            Fault::Oscillator { chip, path, valid } => {
                self.set_path(*chip, true, usize::from(*path), *valid);
            }
            Fault::SlavePath { chip, path, valid } => {
                self.set_path(*chip, false, usize::from(*path), *valid);
            }
            Fault::Asleep { core, status } => self.core_scoms[*core].asleep = Some(*status),
            Fault::Awake { core } => self.core_scoms[*core].asleep = None,
            Fault::LostWakeup { core } => self.core_scoms[*core].lost = true,
            Fault::EngineBlocked { chip } => {
                self.units[*chip].blocked = true;
                self.units[*chip].reset_steps = 0;
            }
            Fault::Xscom(fault) => self.xscom_faults.push(*fault),
            Fault::XscomHealed => self.xscom_faults.clear(),
        }
        Ok(())
    }

    /// Whether this machine can have a fault.
    pub(crate) fn check(&self, fault: &Fault) -> Result<(), Impossible> {
        let generation = self.configuration.generation;
        let power10 = generation == Generation::Power10;
        let (core, chip) = (
            |core: usize| core < self.cores.len(),
            |chip: usize| chip < self.tods.len(),
        );
        let thread = |thread: usize| thread < self.threads.len();
        let (place, exists) = match fault {
            Fault::Core { core: at, error } => (core(*at), exists(*error, generation)),
            Fault::Thread { thread: at, .. } | Fault::Timebase { thread: at, .. } => {
                (thread(*at), true)
            }
            Fault::Hmer { threads, .. } => (threads.iter().all(|at| thread(*at)), true),
            Fault::Cause { core: at, cause } => (
                core(*at),
                match cause {
                    CoreCause::SpurrScaleLimit => power10,
                    CoreCause::RecoveredMasked | CoreCause::HypervisorResource => !power10,
                    CoreCause::Recovered { fir_bit } => *fir_bit < 64,
                    _ => true,
                },
            ),
            Fault::LostWakeup { core: at } => (core(*at), generation == Generation::Power9),
            Fault::CoreFir { core: at, .. }
            | Fault::Asleep { core: at, .. }
            | Fault::Awake { core: at } => (core(*at), true),
            Fault::Nx { chip: at, .. } => (chip(*at), !power10),
            Fault::Capp { chip: at, unit, .. } => (
                chip(*at) && *unit < self.configuration.capps.len(),
                !power10,
            ),
            Fault::Npu {
                chip: at,
                unit,
                fir,
                ..
            } => {
                let firs = if generation == Generation::Power8 {
                    1
                } else {
                    3
                };
                let unit = *unit < self.configuration.npus.len();
                (chip(*at) && unit && *fir < firs, true)
            }
            Fault::Oscillator { chip: at, path, .. } | Fault::SlavePath { chip: at, path, .. } => {
                (chip(*at) && *path < 2, true)
            }
            Fault::Tod { chip: at, .. }
            | Fault::TodTime { chip: at, .. }
            | Fault::TodStarts { chip: at, .. }
            | Fault::Alert { chip: at }
            | Fault::EngineBlocked { chip: at } => (chip(*at), true),
            Fault::Xscom(_) | Fault::XscomHealed => (true, true),
        };
        match (place, exists) {
            (false, _) => Err(Impossible::NoSuchPlace),
            (true, false) => Err(Impossible::NotInThisGeneration),
            (true, true) => Ok(()),
        }
    }

    pub(crate) fn fail_thread(&mut self, thread: usize, error: ThreadError) {
        let (core, number) = self.place(thread);
        let bit = match error {
            ThreadError::PurrParity => Tfmr::PURR_PARITY,
            ThreadError::SpurrParity => Tfmr::SPURR_PARITY,
            ThreadError::DecParity => Tfmr::DEC_PARITY,
            ThreadError::PurrOverflow => Tfmr::PURR_OVERFLOW,
            ThreadError::SpurrOverflow => Tfmr::SPURR_OVERFLOW,
        };
        let timer = &mut self.cores[core];
        let own = &mut timer.threads[number];
        own.bits |= bit.bits();
        own.dirty |= (bit & Tfmr::THREAD_ERRORS).bits();
        if self.configuration.damage {
            let wrong = 1 << self.random.below(32);
            let registers = &mut self.threads[thread];
            match error {
                ThreadError::PurrParity => registers.purr ^= wrong,
                ThreadError::SpurrParity => registers.spurr ^= wrong,
                ThreadError::DecParity => registers.dec ^= wrong,
                ThreadError::PurrOverflow | ThreadError::SpurrOverflow => {}
            }
        }
        if timer.control & Tfmr::MASK_HMI.bits() == 0 {
            self.threads[thread].raise(Hmer::TFAC_ERROR.bits());
        }
    }

    fn cause(&mut self, core: usize, cause: CoreCause) {
        let power10 = self.configuration.generation == Generation::Power10;
        let fir = &mut self.core_scoms[core].fir;
        let bits = match cause {
            CoreCause::Recovered { fir_bit } => {
                fir.set(ibm(fir_bit.into()));
                return self.recovered(core, Hmer::PROC_RECV_DONE);
            }
            CoreCause::RecoveredMasked => {
                return self.recovered(core, Hmer::PROC_RECV_ERROR_MASKED);
            }
            CoreCause::RecoveredAgain => Hmer::PROC_RECV_AGAIN,
            CoreCause::SpurrScaleLimit => Hmer::SPURR_SCALE_LIMIT,
            CoreCause::ScomFir => {
                if power10 {
                    fir.set(ibm(61));
                }
                Hmer::SCOM_FIR
            }
            CoreCause::DebugTrigger if power10 => {
                fir.set(ibm(60));
                Hmer::DEBUG_TRIGGER_P10
            }
            CoreCause::DebugTrigger => Hmer::DEBUG_TRIGGER,
            CoreCause::HypervisorResource => Hmer::HYP_RESOURCE_ERROR,
        };
        self.broadcast(core, bits.bits());
    }
}

/// Whether a generation has this error of a core.
const fn exists(error: CoreError, generation: Generation) -> bool {
    let power10 = matches!(generation, Generation::Power10);
    match error {
        CoreError::Transfer => power10,
        CoreError::TodTimeout
        | CoreError::CommandsFail {
            failure: CommandFailure::LoadTimeout,
            ..
        } => !power10,
        _ => true,
    }
}
