//! The machine behind the stub: its threads by PIR, core and chip, and their registers.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use gdb_remote::{Client, Resume, StopReply, ThreadId, Timeouts};
use power_registers::{Hmer, Tfmr, ibm};

/// `MSR[HV]`.
pub const MSR_HV: u64 = ibm(3);
/// `MSR[EE]`.
pub const MSR_EE: u64 = ibm(48);
/// `MSR[PR]`.
pub const MSR_PR: u64 = ibm(49);
/// `MSR[SF]`.
pub const MSR_SF: u64 = ibm(0);
/// `MSR[LE]`.
pub const MSR_LE: u64 = ibm(63);
/// `MSR[ME]`.
pub const MSR_ME: u64 = ibm(51);
/// `MSR[RI]`.
pub const MSR_RI: u64 = ibm(62);
/// `MSR[IR]` and `MSR[DR]`.
pub const MSR_TRANSLATION: u64 = ibm(58) | ibm(59);

/// Processor generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// POWER8.
    Power8,
    /// POWER9.
    Power9,
    /// POWER10.
    Power10,
}

impl Generation {
    /// From the processor version register.
    #[must_use]
    pub const fn from_pvr(pvr: u64) -> Option<Self> {
        match pvr >> 16 {
            0x4b..=0x4d => Some(Self::Power8),
            0x4e => Some(Self::Power9),
            0x80 => Some(Self::Power10),
            _ => None,
        }
    }

    /// `HID0[HILE]`: hypervisor interrupts are taken little-endian.
    #[must_use]
    pub const fn hile(self) -> u64 {
        match self {
            Self::Power8 => ibm(19),
            Self::Power9 | Self::Power10 => ibm(4),
        }
    }

    /// The core of a PIR. Threads of one core share TFMR; two halves of a big core do so too.
    #[must_use]
    pub const fn core_of(self, pir: u32, big_core: bool) -> u32 {
        match self {
            Self::Power8 => pir >> 3,
            Self::Power9 | Self::Power10 if big_core => pir >> 3,
            Self::Power9 | Self::Power10 => pir >> 2,
        }
    }

    /// The chip of a PIR.
    #[must_use]
    pub const fn chip_of(self, pir: u32) -> u32 {
        match self {
            Self::Power8 => pir >> 7,
            Self::Power9 | Self::Power10 => pir >> 8,
        }
    }

    /// Real address of a SCOM register in the XSCOM window of a chip.
    #[must_use]
    pub const fn xscom(self, chip: u32, address: u32) -> u64 {
        let (chip, address) = (chip as u64, address as u64);
        match self {
            Self::Power8 => {
                0x0003_fc00_0000_0000
                    + chip * 0x8_0000_0000
                    + ((address & !0xf) << 4 | (address & 0xf) << 3)
            }
            Self::Power9 => 0x0006_03fc_0000_0000 + (chip << 42) + (address << 3),
            Self::Power10 => 0x0006_03fc_0000_0000 + (chip << 44) + (address << 3),
        }
    }
}

/// One hardware thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vcpu {
    /// Its name at the stub.
    pub thread: ThreadId,
    /// Its PIR.
    pub pir: u32,
    /// Its core, unique in the machine.
    pub core: u32,
    /// Its chip.
    pub chip: u32,
}

/// The registers that matter here, as the debugger reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ThreadState {
    /// PIR.
    pub pir: u32,
    /// Next instruction.
    pub pc: u64,
    /// MSR.
    pub msr: u64,
    /// TFMR.
    pub tfmr: u64,
    /// HMER.
    pub hmer: u64,
    /// TB.
    pub timebase: u64,
}

impl ThreadState {
    /// Whether the thread is in a guest.
    #[must_use]
    pub const fn in_guest(&self) -> bool {
        self.msr & MSR_HV == 0
    }

    /// Whether an HMI would be taken now: always from a guest, else with interrupts open.
    #[must_use]
    pub const fn takes_hmi(&self) -> bool {
        let vectors = self.pc < 0x3000;
        self.in_guest() || (self.msr & MSR_EE != 0 && !vectors)
    }

    /// HMER, decoded.
    #[must_use]
    pub const fn hmer(&self) -> Hmer {
        Hmer::from_bits_retain(self.hmer)
    }

    /// TFMR, decoded.
    #[must_use]
    pub const fn tfmr(&self) -> Tfmr {
        Tfmr::from_bits_retain(self.tfmr)
    }
}

/// Why the machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// We stopped it.
    Asked,
    /// A break- or watchpoint of this thread.
    Planted(Option<ThreadId>),
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    /// The line to the stub; memory addresses are physical.
    pub client: Client,
    vcpus: Vec<Vcpu>,
    generation: Generation,
}

impl Machine {
    /// Connects, which stops the machine, and finds out which thread has which PIR.
    ///
    /// # Errors
    /// The stub is not QEMU's, or the processor is unknown.
    pub fn connect(socket: &Path, timeouts: Timeouts) -> Result<Self> {
        let mut client = Client::connect(socket, timeouts)?;
        client.set_physical_memory(true)?;
        let threads = client.threads()?;
        let first = *threads
            .first()
            .ok_or_else(|| anyhow!("the machine has no threads"))?;
        let pvr = client.read_register(first, "pvr")?;
        let generation = Generation::from_pvr(pvr)
            .ok_or_else(|| anyhow!("processor version {pvr:#x} is unknown"))?;
        // POWER9 and POWER10 clear this bit where two small cores act as one.
        let big_core = generation != Generation::Power8 && pvr & 0x1000 == 0;
        let mut vcpus = Vec::with_capacity(threads.len());
        for thread in threads {
            let pir = u32::try_from(client.read_register(thread, "pir")?)?;
            vcpus.push(Vcpu {
                thread,
                pir,
                core: generation.core_of(pir, big_core),
                chip: generation.chip_of(pir),
            });
        }
        vcpus.sort_by_key(|vcpu| vcpu.pir);
        Ok(Self {
            client,
            vcpus,
            generation,
        })
    }

    /// All threads, by PIR.
    #[must_use]
    pub fn vcpus(&self) -> Vec<Vcpu> {
        self.vcpus.clone()
    }

    /// The threads of a core, by PIR.
    #[must_use]
    pub fn core(&self, core: u32) -> Vec<Vcpu> {
        self.vcpus
            .iter()
            .filter(|vcpu| vcpu.core == core)
            .copied()
            .collect()
    }

    /// The cores, and how many threads each has.
    #[must_use]
    pub fn cores(&self) -> BTreeMap<u32, usize> {
        let mut cores = BTreeMap::new();
        for vcpu in &self.vcpus {
            *cores.entry(vcpu.core).or_insert(0) += 1;
        }
        cores
    }

    /// The thread with this name.
    #[must_use]
    pub fn vcpu(&self, thread: ThreadId) -> Option<Vcpu> {
        self.vcpus
            .iter()
            .find(|vcpu| vcpu.thread == thread)
            .copied()
    }

    /// Processor generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Reads a register.
    ///
    /// # Errors
    /// The line failed.
    pub fn read(&mut self, vcpu: Vcpu, register: &str) -> Result<u64> {
        self.client
            .read_register(vcpu.thread, register)
            .with_context(|| format!("reading {register} of PIR {:#x}", vcpu.pir))
    }

    /// Writes a register.
    ///
    /// # Errors
    /// The line failed.
    pub fn write(&mut self, vcpu: Vcpu, register: &str, value: u64) -> Result<()> {
        self.client
            .write_register(vcpu.thread, register, value)
            .with_context(|| format!("writing {register} of PIR {:#x}", vcpu.pir))
    }

    /// The state of a thread.
    ///
    /// # Errors
    /// The line failed.
    pub fn state(&mut self, vcpu: Vcpu) -> Result<ThreadState> {
        Ok(ThreadState {
            pir: vcpu.pir,
            pc: self.read(vcpu, "pc")?,
            msr: self.read(vcpu, "msr")?,
            tfmr: self.read(vcpu, "tfmr")?,
            hmer: self.read(vcpu, "hmer")?,
            timebase: self.read(vcpu, "tb")?,
        })
    }

    /// Lets all threads run for a time, or until a break- or watchpoint.
    ///
    /// # Errors
    /// The line failed or the machine ended.
    pub fn run(&mut self, time: Duration) -> Result<Halt> {
        self.go(Resume::All, time)
    }

    /// Lets one thread run for a time, or until a break- or watchpoint; the others stand still.
    ///
    /// # Errors
    /// The line failed or the machine ended.
    pub fn run_alone(&mut self, vcpu: Vcpu, time: Duration) -> Result<Halt> {
        self.go(Resume::Only(vcpu.thread), time)
    }

    fn go(&mut self, what: Resume, time: Duration) -> Result<Halt> {
        self.client.resume(what)?;
        let reply = match self.client.wait_for_stop(time)? {
            Some(reply) => reply,
            None => self.client.interrupt()?,
        };
        match reply {
            StopReply::Stopped { signal: 2, .. } => Ok(Halt::Asked),
            StopReply::Stopped { thread, .. } => Ok(Halt::Planted(thread)),
            StopReply::Exited { code } => bail!(gdb_remote::Error::Exited(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topology_of_the_generations() {
        use Generation::{Power8, Power9, Power10};
        assert_eq!(Power8.core_of(0x8f, false), 0x11);
        assert_eq!(Power9.core_of(0x105, false), 0x41);
        assert_eq!(Power10.core_of(0x105, true), 0x20);
        assert_eq!((Power8.chip_of(0x8f), Power9.chip_of(0x105)), (1, 1));
        assert_eq!(Power9.xscom(0, 0x40017), 0x0006_03fc_0020_00b8);
        assert_eq!(Power9.xscom(1, 0x40017), 0x0006_07fc_0020_00b8);
        assert_eq!(Power10.xscom(1, 0x40017), 0x0006_13fc_0020_00b8);
        assert_eq!(Power8.xscom(0, 0xb0020), 0x0003_fc00_00b0_0200);
        for (pvr, generation) in [
            (0x004d_0200, Power8),
            (0x004e_1202, Power9),
            (0x0080_1200, Power10),
        ] {
            assert_eq!(Generation::from_pvr(pvr), Some(generation));
        }
        assert_eq!(Generation::from_pvr(0x0039_0000), None);
    }

    #[test]
    fn who_takes_an_hmi() {
        let state = |pc, msr| ThreadState {
            pir: 0,
            pc,
            msr,
            tfmr: 0,
            hmer: 0,
            timebase: 0,
        };
        assert!(state(0x1000, MSR_SF).takes_hmi());
        assert!(state(0x900, MSR_SF).takes_hmi());
        assert!(state(0x3000_0000, MSR_HV | MSR_EE).takes_hmi());
        assert!(!state(0x900, MSR_HV | MSR_EE).takes_hmi());
        assert!(!state(0x3000_0000, MSR_HV).takes_hmi());
    }
}
