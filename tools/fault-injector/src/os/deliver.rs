//! The HMI itself, given to a thread when hardware would give it.

use anyhow::{Result, bail};
use power_registers::Hmer;

use super::{Struck, Target};
use crate::forge::take_hmi;
use crate::instructions::{Gpr, msgsnd};
use crate::machine::Vcpu;
use crate::sleepers::awake;

/// The vector through which a thread leaves a sleep that lost something.
pub(super) const SYSTEM_RESET_VECTOR: u64 = 0x100;
/// Why it woke up: SRR1 bits 42 to 45.
const WAKE_REASON: u64 = 0xf << 18;
/// A maintenance interrupt.
const WAKE_REASON_HMI: u64 = 0xa << 18;
/// Type of a hypervisor doorbell, in the operand of `msgsnd`.
const HYPERVISOR_DOORBELL: u64 = 5 << 27;

impl Struck {
    /// Gives the HMI to a thread that takes one now. One that comes after the core's TB was
    /// repaired finds it good.
    pub(super) fn deliver(&mut self, target: &mut Target, repaired: bool) -> Result<()> {
        let vcpu = target.vcpu;
        let state = self.machine.state(vcpu)?;
        if !state.hmer().intersects(Hmer::TIMER) {
            // In a meeting to which its siblings summoned it.
            target.delivered = true;
            return Ok(());
        }
        let woken = state.pc == SYSTEM_RESET_VECTOR;
        if !woken && !state.takes_hmi() {
            return Ok(());
        }
        let visit = self.machine.into_hypervisor(vcpu)?;
        if !repaired {
            self.machine.change_timebase_here(vcpu, target.damage)?;
        }
        if woken {
            let srr1 = self.machine.read(vcpu, "srr1")?;
            let srr1 = srr1 & !WAKE_REASON | WAKE_REASON_HMI;
            self.machine.write(vcpu, "srr1", srr1)?;
            self.machine.step_off(vcpu, state.pc)?;
        } else {
            self.machine.forget_way_in(vcpu, &visit)?;
            take_hmi(&mut self.machine, vcpu, visit.place)?;
            target.taken_in_guest = state.in_guest();
        }
        target.delivered = true;
        Ok(())
    }

    /// Sends a doorbell to a thread that sleeps: what wakes it up is then said to be an HMI.
    pub(super) fn wake(&mut self, sleeper: Vcpu) -> Result<()> {
        const OPERAND: Gpr = 4;
        let Some(sender) = awake(&mut self.machine)?.first().copied() else {
            bail!("every thread sleeps");
        };
        let operand = HYPERVISOR_DOORBELL | u64::from(sleeper.pir);
        self.machine
            .stuff(sender, &[msgsnd(OPERAND)], &[(OPERAND, operand)], &[], &[])?;
        Ok(())
    }
}
