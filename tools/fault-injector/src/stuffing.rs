//! Instructions executed on a thread behind its back, and what needs them: writing TB, and reading
//! VTB, the clock that nobody disturbs.
//!
//! The debugger's own writes of TB are accepted and ignored, and its reading of VTB is stale. So a
//! few instructions are put into scratch memory and run on one thread, in hypervisor real mode,
//! interrupts closed, while all others stand still; then everything is put back.
//!
//! The debugger cannot change `MSR[HV]` either. A thread that is in a guest is taken out by a
//! hypercall planted at its PC, and returns by `hrfid`.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gdb_remote::Watch;
use power_registers::Spr;

use crate::instructions::{
    Gpr, HRFID, ISYNC, SC_1, add, bdnz_back, li, mfspr, mtctr, mtspr, upper_half, xor,
};
use crate::machine::{MSR_HV, MSR_LE, MSR_SF, Machine, Vcpu};

/// Scratch memory: the end of the first GiB, which every machine has. Its content is put back.
pub const SCRATCH: u64 = 0x3fff_f000;
/// A stuffed run takes microseconds; a thread that sleeps in a stop state never begins it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Runs until the registers that are set and checked by two instructions agree.
const TIGHT_ATTEMPTS: u32 = 16;
/// Single steps, or runs, that may pass without progress.
const STEPS: u32 = 16;
/// End of the scratch memory that is used: a breakpoint is there while code runs.
const END: u64 = SCRATCH + 0x100;
/// Rounds of code whose timing counts: the emulator translates it during the first ones.
const ROUNDS: u16 = 4;
/// Ticks of a pair of readings that was not held up: 8 us.
const TIGHT_TICKS: u64 = 4_096;

/// Where a thread was before something was stuffed into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Next instruction.
    pub pc: u64,
    /// MSR.
    pub msr: u64,
}

/// Who must be put back where after a stay in the hypervisor.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Where the thread was.
    pub place: Place,
    /// Registers that the way in and out changes, if it was in a guest.
    saved: Option<[u64; 4]>,
}

/// Where hypercalls arrive: on POWER10 an OS may have them arrive translated (`LPCR[HAIL]`).
const HYPERCALL_VECTORS: [u64; 2] = [0xc00, 0xc000_0000_0000_4c00];

const INTERRUPT_REGISTERS: [&str; 4] = ["srr0", "srr1", "hsrr0", "hsrr1"];

/// How TB is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// TB := value.
    Set(u64),
    /// TB := TB + value.
    Add(u64),
    /// TB := TB ^ value.
    Flip(u64),
    /// TB := VTB + value: the true time, exact however long the way here took.
    Clock(u64),
}

const COUNT: Gpr = 9;

/// The same code, run several times.
fn in_rounds(code: &[u32]) -> Vec<u32> {
    let back = bdnz_back(code.len() as u16);
    [&[li(COUNT, ROUNDS), mtctr(COUNT)], code, &[back]].concat()
}

/// A change of TB, read back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readback {
    /// TB behind the change.
    pub timebase: u64,
    /// VTB at the same moment.
    pub clock: u64,
}

impl Machine {
    /// Takes a thread into the hypervisor, if it is not there.
    ///
    /// # Errors
    /// The planted hypercall does not arrive at 0xC00.
    pub fn into_hypervisor(&mut self, vcpu: Vcpu) -> Result<Visit> {
        let place = Place {
            pc: self.read(vcpu, "pc")?,
            msr: self.read(vcpu, "msr")?,
        };
        if place.msr & MSR_HV != 0 {
            return Ok(Visit { place, saved: None });
        }
        let mut saved = [0; 4];
        for (value, name) in saved.iter_mut().zip(INTERRUPT_REGISTERS) {
            *value = self.read(vcpu, name)?;
        }
        let call = if place.msr & MSR_LE == 0 {
            SC_1.to_be_bytes()
        } else {
            SC_1.to_le_bytes()
        };
        let real = self.real_address(vcpu, place.pc)?;
        let old = self.client.read_memory(real, 4)?;
        self.client.write_memory(real, &call)?;
        let stepped = self.step_off(vcpu, place.pc);
        self.client.write_memory(real, &old)?;
        stepped?;
        let (pc, msr) = (self.read(vcpu, "pc")?, self.read(vcpu, "msr")?);
        ensure!(
            HYPERCALL_VECTORS.contains(&pc) && msr & MSR_HV != 0,
            "the hypercall planted at {:#x} of PIR {:#x} arrived at {pc:#x}, MSR {msr:#x}",
            place.pc,
            vcpu.pir
        );
        Ok(Visit {
            place,
            saved: Some(saved),
        })
    }

    /// Puts the registers back that the way into the hypervisor changed. The thread stays there.
    ///
    /// # Errors
    /// The line failed.
    pub fn forget_way_in(&mut self, vcpu: Vcpu, visit: &Visit) -> Result<()> {
        if let Some(saved) = visit.saved {
            for (value, name) in saved.into_iter().zip(INTERRUPT_REGISTERS) {
                self.write(vcpu, name, value)?;
            }
        }
        Ok(())
    }

    /// Puts a thread back where it was.
    ///
    /// # Errors
    /// It does not arrive there.
    pub fn out_of_hypervisor(&mut self, vcpu: Vcpu, visit: &Visit) -> Result<()> {
        if visit.saved.is_none() {
            return Ok(());
        }
        let Place { pc, msr } = visit.place;
        self.write(vcpu, "hsrr0", pc)?;
        self.write(vcpu, "hsrr1", msr)?;
        let old = self.client.read_memory(SCRATCH, 4)?;
        self.client.write_memory(SCRATCH, &HRFID.to_be_bytes())?;
        self.write(vcpu, "msr", MSR_SF | MSR_HV)?;
        self.write(vcpu, "pc", SCRATCH)?;
        let stepped = self.step_off(vcpu, SCRATCH);
        self.client.write_memory(SCRATCH, &old)?;
        stepped?;
        let now = Place {
            pc: self.read(vcpu, "pc")?,
            msr: self.read(vcpu, "msr")?,
        };
        ensure!(
            now == visit.place,
            "PIR {:#x} returned to {now:x?} instead of {:x?}",
            vcpu.pir,
            visit.place
        );
        self.forget_way_in(vcpu, visit)
    }

    /// The real address behind an address of a thread.
    fn real_address(&mut self, vcpu: Vcpu, address: u64) -> Result<u64> {
        // The emulator numbers its processors from 0, the stub from 1.
        let index = vcpu.thread.thread.saturating_sub(1);
        self.client.monitor(&format!("cpu {index}"))?;
        let text = self.client.monitor(&format!("gva2gpa {address:#x}"))?;
        text.split_once("gpa: 0x")
            .and_then(|(_, digits)| u64::from_str_radix(digits.trim(), 16).ok())
            .with_context(|| {
                format!(
                    "{address:#x} of PIR {:#x} is not mapped: {}",
                    vcpu.pir,
                    text.trim()
                )
            })
    }

    /// Single-steps until the PC moves: a step may come back without progress.
    pub(crate) fn step_off(&mut self, vcpu: Vcpu, from: u64) -> Result<()> {
        for _ in 0..STEPS {
            self.client.step(vcpu.thread)?;
            if self.read(vcpu, "pc")? != from {
                return Ok(());
            }
        }
        bail!("PIR {:#x} does not move from {from:#x}", vcpu.pir)
    }

    /// Runs instructions on a thread that is in the hypervisor, in real mode, big-endian,
    /// interrupts closed. All of its registers are as before, afterwards; `inputs` are set before
    /// the run, `outputs` are read behind it, `changed` are others that the code changes.
    ///
    /// # Errors
    /// The code does not reach its end: the thread sleeps, or an instruction trapped.
    pub fn stuff(
        &mut self,
        vcpu: Vcpu,
        code: &[u32],
        inputs: &[(Gpr, u64)],
        outputs: &[Gpr],
        changed: &[Gpr],
    ) -> Result<Vec<u64>> {
        let length = 4 * code.len() as u64;
        ensure!(length <= END - SCRATCH, "too much code to stuff");
        let start = END - length;
        let mut names: Vec<String> = inputs
            .iter()
            .map(|(register, _)| register)
            .chain(outputs)
            .chain(changed)
            .map(|register| format!("r{register}"))
            .collect();
        names.extend(["ctr".to_owned(), "pc".to_owned(), "msr".to_owned()]);
        names.sort();
        names.dedup();
        let mut saved = Vec::with_capacity(names.len());
        for name in names {
            let value = self.read(vcpu, &name)?;
            saved.push((name, value));
        }
        let old = self.client.read_memory(start, length as usize)?;
        let bytes: Vec<u8> = code.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.client.write_memory(start, &bytes)?;
        self.client.plant(Watch::Breakpoint, END, 4)?;
        let outcome = self.run_stuffed(vcpu, start, inputs, outputs);
        self.client.remove(Watch::Breakpoint, END, 4)?;
        self.client.write_memory(start, &old)?;
        for (name, value) in saved {
            self.write(vcpu, &name, value)?;
        }
        outcome.with_context(|| format!("code stuffed into PIR {:#x}", vcpu.pir))
    }

    fn run_stuffed(
        &mut self,
        vcpu: Vcpu,
        start: u64,
        inputs: &[(Gpr, u64)],
        outputs: &[Gpr],
    ) -> Result<Vec<u64>> {
        self.write(vcpu, "msr", MSR_SF | MSR_HV)?;
        self.write(vcpu, "pc", start)?;
        for (register, value) in inputs {
            self.write(vcpu, &format!("r{register}"), *value)?;
        }
        // A stop on the way (a left-over request to stop) is not the end: go on.
        for _ in 0..STEPS {
            self.run_alone(vcpu, PATIENCE)?;
            let pc = self.read(vcpu, "pc")?;
            if pc == END {
                return outputs
                    .iter()
                    .map(|register| self.read(vcpu, &format!("r{register}")))
                    .collect();
            }
            if !(start..END).contains(&pc) {
                bail!("it trapped to {pc:#x}");
            }
        }
        bail!("it never ran: the thread sleeps")
    }

    /// Changes TB of a thread (of its whole core where the threads share one).
    ///
    /// # Errors
    /// As [`Self::stuff`].
    pub fn change_timebase(&mut self, vcpu: Vcpu, change: Change) -> Result<Readback> {
        let visit = self.into_hypervisor(vcpu)?;
        let readback = self.change_timebase_here(vcpu, change)?;
        self.out_of_hypervisor(vcpu, &visit)?;
        Ok(readback)
    }

    /// As [`Self::change_timebase`], of a thread that is in the hypervisor already.
    ///
    /// # Errors
    /// As [`Self::stuff`].
    pub fn change_timebase_here(&mut self, vcpu: Vcpu, change: Change) -> Result<Readback> {
        const NEW: Gpr = 3;
        const VALUE: Gpr = 4;
        const UPPER: Gpr = 5;
        const ZERO: Gpr = 6;
        const CLOCK: Gpr = 7;
        const TIMEBASE: Gpr = 8;
        let (source, value) = match change {
            Change::Set(value) => (vec![add(NEW, ZERO, VALUE)], value),
            Change::Add(value) => (vec![mfspr(NEW, Spr::Tb), add(NEW, NEW, VALUE)], value),
            Change::Flip(value) => (vec![mfspr(NEW, Spr::Tb), xor(NEW, NEW, VALUE)], value),
            Change::Clock(value) => (vec![mfspr(NEW, Spr::Vtb), add(NEW, NEW, VALUE)], value),
        };
        let mut code = source;
        code.extend([
            upper_half(UPPER, NEW),
            // Lower half to 0 first, so that no carry gets into the upper one in between.
            mtspr(Spr::Tbwl, ZERO),
            mtspr(Spr::Tbwu, UPPER),
            mtspr(Spr::Tbwl, NEW),
            ISYNC,
            mfspr(CLOCK, Spr::Vtb),
            mfspr(TIMEBASE, Spr::Tb),
        ]);
        let mut code = if matches!(change, Change::Clock(_)) {
            in_rounds(&code)
        } else {
            code
        };
        code.insert(0, li(ZERO, 0));
        for _ in 0..TIGHT_ATTEMPTS {
            let inputs = [(VALUE, value)];
            let outputs = [CLOCK, TIMEBASE];
            let result = self.stuff(vcpu, &code, &inputs, &outputs, &[NEW, UPPER, ZERO, COUNT])?;
            let readback = Readback {
                clock: result[0],
                timebase: result[1],
            };
            let Change::Clock(offset) = change else {
                return Ok(readback);
            };
            // The emulator's host may have held the thread up between reading and writing.
            let error = readback
                .timebase
                .wrapping_sub(readback.clock.wrapping_add(offset)) as i64;
            if error.unsigned_abs() <= TIGHT_TICKS {
                return Ok(readback);
            }
        }
        bail!(
            "TB of PIR {:#x} cannot be set in time: the host is too busy",
            vcpu.pir
        )
    }

    /// The clock that nobody disturbs, now, in ticks of TB: VTB. It stands while the machine stands.
    ///
    /// # Errors
    /// As [`Self::stuff`].
    pub fn clock(&mut self) -> Result<u64> {
        let mut reader = None;
        for vcpu in self.vcpus() {
            if self.read(vcpu, "msr")? & MSR_HV != 0 {
                reader = Some(vcpu);
                break;
            }
        }
        let reader = match reader {
            Some(reader) => reader,
            None => *self.vcpus().first().context("the machine has no threads")?,
        };
        self.clock_of(reader)
    }

    /// The same, read on this thread, which must not sleep.
    ///
    /// # Errors
    /// As [`Self::stuff`].
    pub fn clock_of(&mut self, reader: Vcpu) -> Result<u64> {
        let visit = self.into_hypervisor(reader)?;
        let offset = self.timebase_minus_clock(reader)?;
        self.out_of_hypervisor(reader, &visit)?;
        // The debugger's reading of TB is live, that of VTB is not.
        Ok(self.read(reader, "tb")?.wrapping_sub(offset))
    }

    /// VTB of one thread minus VTB of another, neither of which may sleep: how much they are apart
    /// does not change until somebody writes one.
    ///
    /// # Errors
    /// As [`Self::stuff`].
    pub fn clock_difference(&mut self, one: Vcpu, other: Vcpu) -> Result<u64> {
        let mut offsets = [0; 2];
        for (offset, vcpu) in offsets.iter_mut().zip([one, other]) {
            let visit = self.into_hypervisor(vcpu)?;
            *offset = self.timebase_minus_clock(vcpu)?;
            self.out_of_hypervisor(vcpu, &visit)?;
        }
        // Both clocks now, since nothing runs between the two readings.
        let one = self.read(one, "tb")?.wrapping_sub(offsets[0]);
        let other = self.read(other, "tb")?.wrapping_sub(offsets[1]);
        Ok(one.wrapping_sub(other))
    }

    /// TB - VTB of a thread in the hypervisor.
    fn timebase_minus_clock(&mut self, vcpu: Vcpu) -> Result<u64> {
        let code = in_rounds(&[mfspr(3, Spr::Vtb), mfspr(4, Spr::Tb), mfspr(5, Spr::Vtb)]);
        for _ in 0..TIGHT_ATTEMPTS {
            let result = self.stuff(vcpu, &code, &[], &[3, 4, 5], &[COUNT])?;
            if result[2].wrapping_sub(result[0]) <= TIGHT_TICKS {
                return Ok(result[1].wrapping_sub(result[0]));
            }
        }
        bail!("the clock cannot be read in time: the host is too busy")
    }
}
