//! The TOD's answer to MOVE_TOD_TO_TB: the true time into TB of the core that asked.
//!
//! QEMU accepts the store and leaves TB as it is. A watchpoint stops the machine behind the store.

use anyhow::{Context as _, Result};
use gdb_remote::Watch;
use power_registers::chip_tod::TodRegister;
use power_registers::{TbState, Tfmr};

use crate::instructions::DoublewordStore;
use crate::machine::{Generation, MSR_HV, MSR_TRANSLATION, Machine, Vcpu};
use crate::os::Guests;
use crate::sleepers::clock_reader;
use crate::stuffing::Change;

/// Real addresses may carry this bit, which real mode ignores.
const TOP_BIT: u64 = 1 << 63;

/// A move of the TOD that was played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Move {
    /// The thread that stored.
    pub pir: u32,
    /// Its core.
    pub core: u32,
    /// TFMR then.
    pub tfmr: u64,
    /// TB before.
    pub before: u64,
    /// TB that was loaded; `None` if the core was not ready to receive.
    pub loaded: Option<u64>,
}

/// The TOD of the machine.
#[derive(Clone, Debug)]
pub struct ChipTod {
    registers: Vec<u64>,
    /// True host time minus the undisturbed clock.
    pub reference: u64,
    shared: bool,
    /// Threads whose VTB is not the clock, since guests of an OS run on them.
    pub guests: Guests,
}

impl ChipTod {
    /// Watches the register on every chip. POWER8 has no ChipTOD in QEMU: nothing is watched.
    ///
    /// # Errors
    /// The stub refuses.
    pub fn watch(machine: &mut Machine, reference: u64, shared: bool) -> Result<Self> {
        let generation = machine.generation();
        let mut registers: Vec<u64> = Vec::new();
        if generation != Generation::Power8 {
            let address = TodRegister::MoveTodToTb.address();
            registers = machine
                .vcpus()
                .iter()
                .map(|vcpu| generation.xscom(vcpu.chip, address))
                .collect();
            registers.dedup();
        }
        for register in &registers {
            machine.client.plant(Watch::Write, *register, 8)?;
            machine.client.plant(Watch::Write, *register | TOP_BIT, 8)?;
        }
        Ok(Self {
            registers,
            reference,
            shared,
            guests: Guests::new(),
        })
    }

    /// Stops watching.
    ///
    /// # Errors
    /// The stub refuses.
    pub fn unwatch(&self, machine: &mut Machine) -> Result<()> {
        for register in &self.registers {
            machine.client.remove(Watch::Write, *register, 8)?;
            machine
                .client
                .remove(Watch::Write, *register | TOP_BIT, 8)?;
        }
        Ok(())
    }

    /// Whether anything is watched.
    #[must_use]
    pub const fn exists(&self) -> bool {
        !self.registers.is_empty()
    }

    /// Looks which of these threads just stored to the register, and answers. To be called at
    /// every stop: a store that coincides with another reason to stop is not reported by itself,
    /// but its thread stands behind it all the same.
    ///
    /// # Errors
    /// A thread cannot be brought to do what it must.
    pub fn answer(&self, machine: &mut Machine, vcpus: &[Vcpu]) -> Result<Vec<Move>> {
        let mut moves: Vec<Move> = Vec::new();
        if self.exists() {
            for vcpu in vcpus {
                let done = moves.iter().any(|done| done.core == vcpu.core);
                if !done && self.has_just_stored(machine, *vcpu)? {
                    moves.push(self.load(machine, *vcpu)?);
                }
            }
        }
        Ok(moves)
    }

    /// Whether the instruction before the PC stored to a watched register.
    fn has_just_stored(&self, machine: &mut Machine, vcpu: Vcpu) -> Result<bool> {
        let msr = machine.read(vcpu, "msr")?;
        let pc = machine.read(vcpu, "pc")?;
        if msr & MSR_HV == 0 || msr & MSR_TRANSLATION != 0 || pc < 4 {
            return Ok(false);
        }
        let bytes = machine.client.read_memory(pc - 4, 4)?;
        let word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        let Some(store) = DoublewordStore::decode(word) else {
            return Ok(false);
        };
        let mut address = store.displacement as u64;
        for register in [store.base, store.index].into_iter().flatten() {
            let value = machine.read(vcpu, &format!("r{register}"))?;
            address = address.wrapping_add(value);
        }
        Ok(self.registers.contains(&(address & !TOP_BIT)))
    }

    /// The clock minus VTB of a thread.
    fn correction(&self, machine: &mut Machine, vcpu: Vcpu) -> Result<u64> {
        if !self.guests.contains_key(&vcpu.pir) {
            return Ok(0);
        }
        let reader = clock_reader(machine, &self.guests)?
            .context("no thread without a guest is awake: nothing tells the time")?;
        machine.clock_difference(reader, vcpu)
    }

    /// Loads the true time into TB of the thread's core, if the core is ready to receive.
    fn load(&self, machine: &mut Machine, vcpu: Vcpu) -> Result<Move> {
        let tfmr = Tfmr::from_bits_retain(machine.read(vcpu, "tfmr")?);
        let before = machine.read(vcpu, "tb")?;
        let mut done = Move {
            pir: vcpu.pir,
            core: vcpu.core,
            tfmr: tfmr.bits(),
            before,
            loaded: None,
        };
        // The state machine follows the reads of TFMR: both states of an armed move count.
        if matches!(tfmr.state(), TbState::SyncWait | TbState::GetTod) {
            for sibling in machine.core(vcpu.core) {
                if !self.shared || done.loaded.is_none() {
                    let value = self
                        .reference
                        .wrapping_add(self.correction(machine, sibling)?);
                    let readback = machine.change_timebase(sibling, Change::Clock(value))?;
                    done.loaded.get_or_insert(readback.timebase);
                }
            }
        }
        Ok(done)
    }
}
