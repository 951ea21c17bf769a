//! From reset to the first instruction of the kernel, and what the firmware hands over there.

use super::{
    guest::{Guest, Start},
    kept,
};
use anyhow::{Context as _, Result, bail, ensure};
use fault_injector::{
    instructions::{Gpr, mfspr},
    machine::{Machine, Vcpu},
};
use gdb_remote::{Resume, StopReply, Watch};
use object::{
    Endianness,
    elf::FileHeader64,
    read::elf::{FileHeader as _, ProgramHeader as _},
};
use power_registers::Spr;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Where QEMU puts a kernel.
const KERNEL_ADDRESS: u64 = 0x2000_0000;
/// Ticks of the timebase, and of VTB, in a second.
pub(super) const TICKS_PER_SECOND: f64 = 512e6;
/// With time counted in instructions, one is a nanosecond.
pub(super) const INSTRUCTIONS_PER_TICK: f64 = 1e9 / TICKS_PER_SECOND;
/// The reference takes seconds; a host with other things to do many.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is at the kernel's first instruction.
#[derive(Debug)]
pub(super) struct Arrival {
    /// From reset, on the clock that no firmware sets.
    pub(super) ticks: u64,
    /// From reset, on the host's clock.
    pub(super) wall: Duration,
    /// The device tree.
    pub(super) tree: Vec<u8>,
}

impl Arrival {
    /// From reset, where time is counted in them.
    pub(super) fn instructions(&self) -> f64 {
        self.ticks as f64 * INSTRUCTIONS_PER_TICK
    }
}

/// Where the first instruction of a kernel will be: an ELF file runs where it lies.
pub(super) fn address(kernel: &Path) -> Result<u64> {
    let bytes = fs::read(kernel).with_context(|| kernel.display().to_string())?;
    let place = entry(&bytes).with_context(|| kernel.display().to_string())?;
    Ok(KERNEL_ADDRESS + place)
}

/// The place of the first instruction in the file.
fn entry(bytes: &[u8]) -> Result<u64> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let order = header.endian()?;
    let entry = header.e_entry(order);
    for segment in header.program_headers(order, bytes)? {
        let (start, size) = (segment.p_vaddr(order), segment.p_filesz(order));
        if (start..start + size).contains(&entry) {
            return Ok(entry - start + segment.p_offset(order));
        }
    }
    bail!("no segment holds the entry {entry:#x}")
}

/// Where the clock is kept.
const CLOCK: Gpr = 14;
const INSTRUCTION: u64 = 4;

/// Runs from reset to the kernel's first instruction, in whose place the clock is read: once the
/// machine stands for a debugger, a clock that counts instructions may have gone on.
pub(super) fn run(start: &Start<'_>, address: u64) -> Result<Arrival> {
    ensure!(start.stopped, "it would be gone");
    let guest = Guest::start(start)?;
    let mut machine = guest.debugger()?;
    // A kernel is entered big-endian, whatever it makes of itself then.
    let look = mfspr(CLOCK, Spr::Vtb).to_be_bytes();
    machine.client.write_memory(address, &look)?;
    let behind = address + INSTRUCTION;
    machine
        .client
        .plant(Watch::Breakpoint, behind, INSTRUCTION)?;
    let begin = Instant::now();
    machine.client.resume(Resume::All)?;
    let reply = machine.client.wait_for_stop(PATIENCE)?;
    let wall = begin.elapsed();
    ensure!(
        matches!(reply, Some(StopReply::Stopped { .. })),
        "the kernel is not reached ({reply:?}):\n      {}",
        guest.last_words()
    );
    let boot_thread = standing_at(&mut machine, behind)?;
    let ticks = machine.read(boot_thread, &format!("r{CLOCK}"))?;
    let place = machine.read(boot_thread, "r3")?;
    let tree = kept::read_tree(&mut machine, place)?;
    Ok(Arrival { ticks, wall, tree })
}

fn standing_at(machine: &mut Machine, address: u64) -> Result<Vcpu> {
    for vcpu in machine.vcpus() {
        if machine.read(vcpu, "pc")? == address {
            return Ok(vcpu);
        }
    }
    bail!("the machine stopped, but no thread is at {address:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, one segment at 0x10000 of the file, and its entry 8 bytes behind its start.
    #[test]
    fn an_elf_file_runs_where_it_lies() {
        let mut bytes = vec![0; 0x10020];
        bytes[..16].copy_from_slice(b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0");
        let mut put = |at: usize, value: u64, size: usize| {
            bytes[at..at + size].copy_from_slice(&value.to_be_bytes()[8 - size..]);
        };
        put(16, 2, 2); // executable
        put(18, 21, 2); // ppc64
        put(20, 1, 4);
        put(24, 0xc000_0000_0000_0008, 8);
        put(32, 64, 8); // program headers
        put(52, 64, 2);
        put(54, 56, 2);
        put(56, 1, 2);
        put(64, 1, 4); // loaded
        put(72, 0x1_0000, 8);
        put(80, 0xc000_0000_0000_0000, 8);
        put(96, 0x20, 8);
        put(104, 0x20, 8);
        assert_eq!(entry(&bytes).unwrap(), 0x1_0008);
        bytes[31] = 0x20;
        assert!(entry(&bytes).is_err());
        assert!(entry(b"MZ").is_err());
    }
}
