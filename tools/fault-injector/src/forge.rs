//! The fault itself: TB really wrong, TFMR and HMER as hardware would set them, and the HMI.

use std::time::Duration;

use anyhow::Result;
use gdb_remote::Watch;
use power_registers::{Hmer, TbState, Tfmr};

use crate::image::Image;
use crate::machine::{Halt, MSR_HV, MSR_LE, MSR_ME, MSR_RI, MSR_SF, Machine, ThreadState, Vcpu};
use crate::plan::Plan;
use crate::stuffing::{Place, Readback};

/// Vector of the Hypervisor Maintenance Interrupt.
pub const HMI_VECTOR: u64 = 0xe60;
/// Bits of SRR1 that an interrupt of this kind clears in what it saves of MSR.
const SAVED_MSR_CLEAR: u64 = 0x783f_0000;
/// How long a thread that keeps interrupts closed may run alone to open them.
const ALONE: Duration = Duration::from_millis(2);

/// How the HMI reached a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Taken out of its guest at once.
    FromGuest,
    /// Taken in host context at once.
    FromHost,
    /// Interrupts were closed: not yet taken.
    Pending,
    /// Interrupts were closed; taken when they were opened, or on the way into the guest.
    Late,
    /// Its own handler cleared the cause before interrupts were opened.
    Absorbed,
    /// No HMI: its siblings must summon it.
    Spared,
}

/// One thread of the core that was struck.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Which thread.
    pub vcpu: Vcpu,
    /// How it was before.
    pub before: ThreadState,
    /// TB behind the damage.
    pub damaged: Readback,
    /// How the HMI came.
    pub delivery: Delivery,
    /// While it is pending: the thread handles the fault already, at a sibling's summons or
    /// because it saw HMER, and will clear the cause by itself.
    pub attending: bool,
}

/// A fault that was struck.
#[derive(Clone, Debug)]
pub struct Struck {
    /// The core.
    pub core: u32,
    /// Its threads.
    pub hits: Vec<Hit>,
    /// TFMR as set.
    pub tfmr: Tfmr,
    /// HMER bits as set.
    pub hmer: Hmer,
    gates_planted: bool,
}

/// TFMR of a core whose TB broke while it was running.
#[must_use]
pub fn broken(tfmr: Tfmr, errors: u64) -> Tfmr {
    let last = tfmr.state();
    (tfmr.with_states(TbState::Error, last) - Tfmr::TB_VALID) | Tfmr::from_bits_retain(errors)
}

/// Strikes. The machine stands; afterwards it may be resumed.
///
/// `shared`: the threads of a core share one TB, so one write damages it for all.
///
/// # Errors
/// A thread cannot be brought to do what it must.
pub fn strike(machine: &mut Machine, core: u32, plan: &Plan, shared: bool) -> Result<Struck> {
    let vcpus = machine.core(core);
    let mut states = Vec::with_capacity(vcpus.len());
    for vcpu in &vcpus {
        states.push(machine.state(*vcpu)?);
    }
    let tfmr = broken(states[0].tfmr(), plan.errors);
    let hmer = Hmer::TFAC_ERROR;
    // Only a thread in host context with interrupts open can be spared: one in its guest, or on
    // the way there, would read the broken TB as no hardware lets it.
    let spared = |index: usize| {
        let state: &ThreadState = &states[index];
        plan.spare >> index & 1 == 1 && !state.in_guest() && state.takes_hmi()
    };
    let all_spared = (0..vcpus.len()).all(spared);
    // All copies of TFMR first: the stuffed code below does not touch it.
    for vcpu in &vcpus {
        machine.write(*vcpu, "tfmr", tfmr.bits())?;
    }
    let mut hits = Vec::with_capacity(vcpus.len());
    for (index, (vcpu, before)) in vcpus.iter().zip(&states).enumerate() {
        let visit = machine.into_hypervisor(*vcpu)?;
        let damaged = if shared && index != 0 {
            Readback {
                timebase: machine.read(*vcpu, "tb")?,
                clock: 0,
            }
        } else {
            let change = plan.damage[index % plan.damage.len()];
            machine.change_timebase_here(*vcpu, change)?
        };
        let delivery = if spared(index) && !(all_spared && index == 0) {
            Delivery::Spared
        } else {
            machine.write(*vcpu, "hmer", before.hmer | hmer.bits())?;
            if before.takes_hmi() {
                machine.forget_way_in(*vcpu, &visit)?;
                take_hmi(machine, *vcpu, visit.place)?;
                if before.in_guest() {
                    Delivery::FromGuest
                } else {
                    Delivery::FromHost
                }
            } else {
                Delivery::Pending
            }
        };
        hits.push(Hit {
            vcpu: *vcpu,
            before: *before,
            damaged,
            delivery,
            attending: false,
        });
    }
    Ok(Struck {
        core,
        hits,
        tfmr,
        hmer,
        gates_planted: false,
    })
}

/// Takes a thread, in the hypervisor now, to the vector as if interrupted at `place`.
pub(crate) fn take_hmi(machine: &mut Machine, vcpu: Vcpu, place: Place) -> Result<()> {
    let hile = machine.generation().hile();
    let little = if machine.read(vcpu, "hid0")? & hile != 0 {
        MSR_LE
    } else {
        0
    };
    machine.write(vcpu, "hsrr0", place.pc)?;
    machine.write(vcpu, "hsrr1", place.msr & !SAVED_MSR_CLEAR)?;
    let msr = MSR_SF | MSR_HV | place.msr & (MSR_ME | MSR_RI) | little;
    machine.write(vcpu, "msr", msr)?;
    machine.write(vcpu, "pc", HMI_VECTOR)
}

impl Hit {
    /// Takes the pending HMI if the thread takes one now and the cause is still there.
    fn deliver_if_possible(&mut self, machine: &mut Machine) -> Result<()> {
        let state = machine.state(self.vcpu)?;
        if !state.hmer().intersects(Hmer::TIMER) {
            self.delivery = Delivery::Absorbed;
        } else if state.takes_hmi() {
            let visit = machine.into_hypervisor(self.vcpu)?;
            machine.forget_way_in(self.vcpu, &visit)?;
            take_hmi(machine, self.vcpu, visit.place)?;
            self.delivery = Delivery::Late;
        }
        Ok(())
    }
}

impl Struck {
    /// Whether the HMI is still to be taken by somebody.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.hits
            .iter()
            .any(|hit| hit.delivery == Delivery::Pending)
    }

    /// Plants a stop at every instruction that may open interrupts, and lets each thread with
    /// interrupts closed run alone for a moment: it comes to one soon, unless it waits for others.
    /// `stopped` is called at each stop: alone on its core, a thread may get far in its repair.
    ///
    /// # Errors
    /// The line failed.
    pub fn chase(
        &mut self,
        machine: &mut Machine,
        image: &Image,
        stopped: &mut dyn FnMut(&mut Machine) -> Result<()>,
    ) -> Result<()> {
        if !self.is_pending() {
            return Ok(());
        }
        if !self.gates_planted {
            for gate in image.gates() {
                machine.client.plant(Watch::Breakpoint, gate, 4)?;
            }
            self.gates_planted = true;
        }
        for index in 0..self.hits.len() {
            if self.hits[index].delivery == Delivery::Pending {
                let vcpu = self.hits[index].vcpu;
                let halt = machine.run_alone(vcpu, ALONE)?;
                stopped(machine)?;
                if let Halt::Planted(_) = halt {
                    self.at_gate(machine, image, vcpu)?;
                }
            }
        }
        self.open_gates(machine, image)
    }

    /// Notes which of the awaited threads handle the fault already. Gates are not kept for them:
    /// they slow the emulator down a lot.
    ///
    /// # Errors
    /// The line failed.
    pub fn note_attending(
        &mut self,
        machine: &mut Machine,
        image: &Image,
        attends: impl Fn(u32) -> bool,
    ) -> Result<()> {
        for hit in &mut self.hits {
            hit.attending |= attends(hit.vcpu.pir);
        }
        self.open_gates(machine, image)
    }

    /// Looks at the awaited threads: some have cleared the cause by themselves.
    ///
    /// # Errors
    /// The line failed.
    pub fn refresh(&mut self, machine: &mut Machine, image: &Image) -> Result<()> {
        for hit in self
            .hits
            .iter_mut()
            .filter(|hit| hit.delivery == Delivery::Pending)
        {
            let hmer = Hmer::from_bits_retain(machine.read(hit.vcpu, "hmer")?);
            if !hmer.intersects(Hmer::TIMER) {
                hit.delivery = Delivery::Absorbed;
            } else if hit.attending {
                hit.deliver_if_possible(machine)?;
            }
        }
        self.open_gates(machine, image)
    }

    /// A thread stopped; if it stands at a gate it is led through, and takes the HMI behind it if
    /// that is due.
    ///
    /// # Errors
    /// The line failed.
    pub fn pass_gate(&mut self, machine: &mut Machine, image: &Image, vcpu: Vcpu) -> Result<()> {
        if self.gates_planted {
            self.at_gate(machine, image, vcpu)?;
            self.open_gates(machine, image)?;
        }
        Ok(())
    }

    fn at_gate(&mut self, machine: &mut Machine, image: &Image, vcpu: Vcpu) -> Result<()> {
        let pc = machine.read(vcpu, "pc")?;
        if !image.is_gate(pc) {
            return Ok(());
        }
        machine.step_off(vcpu, pc)?;
        let Some(hit) = self
            .hits
            .iter_mut()
            .find(|hit| hit.vcpu == vcpu && hit.delivery == Delivery::Pending)
        else {
            return Ok(());
        };
        hit.deliver_if_possible(machine)
    }

    /// Removes the gates once nobody is awaited at them.
    fn open_gates(&mut self, machine: &mut Machine, image: &Image) -> Result<()> {
        let awaited = |hit: &Hit| hit.delivery == Delivery::Pending && !hit.attending;
        if self.gates_planted && !self.hits.iter().any(awaited) {
            for gate in image.gates() {
                machine.client.remove(Watch::Breakpoint, gate, 4)?;
            }
            self.gates_planted = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_timebase_looks_as_in_the_field() {
        let healthy = Tfmr::from_bits_retain(0x1212_0008_70e0_0000);
        let broken = broken(healthy, Tfmr::FW_CONTROL_ERROR.bits());
        assert_eq!(broken.bits(), 0x1212_0009_80a2_0000);
    }
}
