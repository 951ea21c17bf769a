//! Who sleeps, who is awake, and whose VTB can be trusted.

use anyhow::{Context as _, Result};

use crate::instructions::{NAP, STOP};
use crate::machine::{MSR_EE, MSR_HV, MSR_PR, Machine, Vcpu};
use crate::os::Guests;

/// PIRs of the threads that sleep: they stand behind the instruction that sends them to sleep.
pub(crate) fn asleep(machine: &mut Machine) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for vcpu in machine.vcpus() {
        let pc = machine.read(vcpu, "pc")?;
        let msr = machine.read(vcpu, "msr")?;
        // The address of a guest is none of the machine's.
        let closed = msr & (MSR_EE | MSR_PR | MSR_HV) == MSR_HV;
        if !closed || pc < 4 {
            continue;
        }
        // Kernel and firmware are in memory where the rest of their addresses says.
        let real = (pc & !(0xf << 60)) - 4;
        let bytes = machine.client.read_memory(real, 4)?;
        let word: [u8; 4] = bytes.as_slice().try_into().context("four bytes")?;
        let sleeps = |word: u32| [STOP, NAP].contains(&word);
        if sleeps(u32::from_be_bytes(word)) || sleeps(u32::from_le_bytes(word)) {
            found.push(vcpu.pir);
        }
    }
    Ok(found)
}

/// Threads of the host that do not sleep.
pub(crate) fn awake(machine: &mut Machine) -> Result<Vec<Vcpu>> {
    let asleep = asleep(machine)?;
    let mut found = Vec::new();
    for vcpu in machine.vcpus() {
        if !asleep.contains(&vcpu.pir) && machine.read(vcpu, "msr")? & MSR_HV != 0 {
            found.push(vcpu);
        }
    }
    Ok(found)
}

/// A thread that is awake and whose VTB nobody writes.
pub(crate) fn clock_reader(machine: &mut Machine, guests: &Guests) -> Result<Option<Vcpu>> {
    let awake = awake(machine)?;
    Ok(awake
        .into_iter()
        .find(|vcpu| !guests.contains_key(&vcpu.pir)))
}
