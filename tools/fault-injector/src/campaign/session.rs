//! One run of the image under the tool: boot, calibration, end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flight_recorder::Record;
use gdb_remote::{Timeouts, Watch};
use hypervisor_shim::control::{HeaderWord, ThreadWord};

use super::{
    HASTY_SLICE_MICROSECONDS, Options, Report, THREAD_ALARMS, TICKS_PER_MICROSECOND, ThreadVerdict,
};
use crate::chip_tod::{ChipTod, Move};
use crate::image::Image;
use crate::machine::{Halt, Machine, Vcpu};
use crate::readout::{self, StatusView};

/// The machine is looked at this often while it boots.
const BOOT_SLICE: Duration = Duration::from_millis(50);
/// First pause between two looks at the threads.
pub(super) const SETTLE_SLICE: Duration = Duration::from_millis(4);
/// Longest pause.
const LONGEST_SLICE: Duration = Duration::from_millis(50);

/// The next pause: on a busy host short ones starve the emulator's threads, and those that were
/// not scheduled in between look the same every time.
pub(super) fn longer(time: Duration) -> Duration {
    (time * 3 / 2).min(LONGEST_SLICE)
}

/// What all threads report, by PIR.
pub(super) type Statuses = BTreeMap<u32, StatusView>;
/// Phases of the control block.
const PHASE_RUNNING: u64 = 1;
const PHASE_FINISHED_WELL: u64 = 3;
const PHASE_FINISHED_BADLY: u64 = 4;

/// A run.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) options: Options,
    pub(super) machine: Machine,
    pub(super) image: Image,
    pub(super) tod: Option<ChipTod>,
    pub(super) report: Report,
    records: BTreeMap<u64, Record>,
    /// The threads of a core share one TB.
    pub(super) shared: bool,
}

impl Session {
    /// Connects to the machine before its first instruction.
    pub(super) fn start(options: Options) -> Result<Self> {
        let image = Image::read(&options.elf)?;
        let mut machine = Machine::connect(&options.socket, Timeouts::default())?;
        readout::set_before_start(&mut machine, &image, HeaderWord::External, 1)?;
        if options.hasty {
            for (word, value) in [
                (HeaderWord::Hasty, 1),
                (HeaderWord::SliceMicroseconds, HASTY_SLICE_MICROSECONDS),
            ] {
                readout::set_before_start(&mut machine, &image, word, value)?;
            }
        }
        let report = Report {
            machine: options.machine.clone(),
            seed: options.seed,
            hasty: options.hasty,
            ..Report::default()
        };
        let records = BTreeMap::new();
        Ok(Self {
            options,
            machine,
            image,
            tod: None,
            report,
            records,
            shared: false,
        })
    }

    pub(super) fn fail(&mut self, text: String) {
        self.report.failures.push(text);
    }

    pub(super) fn tolerance_ticks(&self) -> u64 {
        self.options.tolerance.as_micros() as u64 * TICKS_PER_MICROSECOND
    }

    /// Boots until the guests run, and sets the reference of true time.
    pub(super) fn boot(&mut self, progress: &mut dyn FnMut(&str)) -> Result<()> {
        let start = Instant::now();
        loop {
            self.machine.run(BOOT_SLICE)?;
            let phase = readout::header(&mut self.machine, &self.image)?.get(HeaderWord::Phase);
            if phase == PHASE_RUNNING {
                break;
            }
            if phase > PHASE_RUNNING || start.elapsed() > self.options.boot_patience {
                let dump = self.dump()?;
                self.fail(format!("the image did not get its guests running: {dump}"));
                return Ok(());
            }
        }
        let header = readout::header(&mut self.machine, &self.image)?;
        self.shared = header.get(HeaderWord::SharedTimebase) == 1;
        let Some(statuses) = self.settle(None, self.options.boot_patience)? else {
            let dump = self.dump()?;
            self.fail(format!("not all threads reached host or guest: {dump}"));
            return Ok(());
        };
        let reference = self.calibrate(&statuses)?;
        self.tod = Some(ChipTod::watch(&mut self.machine, reference, self.shared)?);
        progress(&format!(
            "{} threads on {} cores run their guests; TB {}; spread {} ticks",
            statuses.len(),
            self.machine.cores().len(),
            if self.shared {
                "shared by the core"
            } else {
                "per thread"
            },
            self.report.boot_spread_ticks,
        ));
        Ok(())
    }

    /// True host time minus the clock: as thread 0 has it. All threads must agree.
    fn calibrate(&mut self, statuses: &Statuses) -> Result<u64> {
        let clock = self.machine.clock()?;
        let mut references = Vec::new();
        for vcpu in self.machine.vcpus() {
            let timebase = self.machine.read(vcpu, "tb")?;
            let applied = self.applied(statuses, vcpu.core, vcpu.pir);
            references.push(timebase.wrapping_sub(applied).wrapping_sub(clock));
        }
        let first = *references.first().context("the machine has no threads")?;
        let off = |reference: &u64| reference.wrapping_sub(first) as i64;
        let most = references.iter().map(off).max().unwrap_or(0);
        let least = references.iter().map(off).min().unwrap_or(0);
        self.report.boot_spread_ticks = most.abs_diff(least);
        if self.report.boot_spread_ticks > self.tolerance_ticks() {
            self.fail(format!(
                "TB of the threads differs by {} ticks before any fault",
                self.report.boot_spread_ticks
            ));
        }
        Ok(first)
    }

    /// The offset that is in TB of a thread: its own, or on a shared TB the one of its core.
    pub(super) fn applied(&self, statuses: &Statuses, core: u32, pir: u32) -> u64 {
        self.machine
            .core(core)
            .iter()
            .filter(|vcpu| self.shared || vcpu.pir == pir)
            .filter_map(|vcpu| statuses.get(&vcpu.pir))
            .fold(0, |sum: u64, status| {
                sum.wrapping_add(status.get(ThreadWord::Applied))
            })
    }

    /// Lets all threads run for a time, answering moves of the TOD meanwhile.
    pub(super) fn run(&mut self, time: Duration) -> Result<Vec<Move>> {
        let end = Instant::now() + time;
        let mut moves = Vec::new();
        loop {
            let left = end
                .saturating_duration_since(Instant::now())
                .max(Duration::from_micros(50));
            match self.machine.run(left)? {
                Halt::Asked => return Ok(moves),
                Halt::Planted(_) => moves.extend(self.answer_moves(&self.machine.vcpus())?),
            }
            if Instant::now() >= end {
                return Ok(moves);
            }
        }
    }

    /// Answers the moves of the TOD that these threads just asked for.
    pub(super) fn answer_moves(&mut self, vcpus: &[Vcpu]) -> Result<Vec<Move>> {
        self.tod
            .as_ref()
            .map_or(Ok(Vec::new()), |tod| tod.answer(&mut self.machine, vcpus))
    }

    /// Adds what the recorder holds of these threads now.
    pub(super) fn collect_records(&mut self, indices: &[usize]) -> Result<()> {
        for index in indices {
            readout::records(&mut self.machine, &self.image, *index, &mut self.records)?;
        }
        Ok(())
    }

    /// Where every thread is, in words.
    pub(super) fn dump(&mut self) -> Result<String> {
        let statuses = readout::statuses(&mut self.machine, &self.image)?;
        let mut lines = Vec::new();
        for vcpu in self.machine.vcpus() {
            let state = self.machine.state(vcpu)?;
            let activity = statuses
                .get(&vcpu.pir)
                .map_or("not started", StatusView::activity);
            let place = if state.in_guest() {
                format!("guest {:#x}", state.pc)
            } else {
                self.image.name(state.pc)
            };
            lines.push(format!(
                "PIR {:#x} {activity} at {place}, MSR {:#x}, {:?}, {:?}, TB {:#x}",
                vcpu.pir,
                state.msr,
                state.tfmr(),
                state.hmer(),
                state.timebase
            ));
        }
        Ok(lines.join("; "))
    }

    /// Reads what all threads say, asks the image to finish, reads its last word, lets it end.
    pub(super) fn finish(&mut self, progress: &mut dyn FnMut(&str)) -> Result<()> {
        self.read_verdicts()?;
        let count = self.report.threads.len();
        self.collect_records(&(0..count).collect::<Vec<_>>())?;
        if let Some(tod) = &self.tod {
            tod.unwatch(&mut self.machine)?;
        }
        // Stop at every store to the phase: the image powers off soon behind the last one.
        let phase_address = readout::word_address(&self.image, HeaderWord::Phase);
        self.machine.client.plant(Watch::Write, phase_address, 8)?;
        readout::set(&mut self.machine, &self.image, HeaderWord::Stop, 1)?;
        let start = Instant::now();
        loop {
            if let Err(error) = self.machine.run(SETTLE_SLICE * 100) {
                self.fail(format!("the image ended without a verdict: {error:#}"));
                return self.ended(error);
            }
            let phase = readout::header(&mut self.machine, &self.image)?.get(HeaderWord::Phase);
            if phase == PHASE_FINISHED_WELL || phase == PHASE_FINISHED_BADLY {
                progress(if phase == PHASE_FINISHED_WELL {
                    "the image's own verdict: good"
                } else {
                    "the image's own verdict: bad"
                });
                if phase == PHASE_FINISHED_BADLY && self.options.expect_repair {
                    self.fail("the image's own verdict is bad".to_owned());
                }
                break;
            }
            if start.elapsed() > self.options.patience {
                let dump = self.dump()?;
                self.fail(format!("the image does not finish: {dump}"));
                return self.read_verdicts();
            }
        }
        self.read_verdicts()?;
        self.check_alarms();
        self.machine.client.remove(Watch::Write, phase_address, 8)?;
        // It powers off by itself.
        let start = Instant::now();
        while start.elapsed() < self.options.patience {
            if let Err(error) = self.machine.run(SETTLE_SLICE * 1000) {
                return self.ended(error);
            }
        }
        let dump = self.dump()?;
        self.fail(format!("the image does not power off: {dump}"));
        Ok(())
    }

    /// The line broke: if that was because the machine ended, its exit code is noted; any other
    /// trouble is passed on.
    pub(super) fn ended(&mut self, error: anyhow::Error) -> Result<()> {
        use gdb_remote::Error::{Closed, Exited};
        let cause = error.chain().find_map(|cause| match cause.downcast_ref() {
            Some(Exited(code)) => Some(Some(*code)),
            Some(Closed) => Some(None),
            _ => None,
        });
        match cause {
            Some(code) => {
                self.report.exit_code = code;
                Ok(())
            }
            None => Err(error),
        }
    }

    fn read_verdicts(&mut self) -> Result<()> {
        let statuses = readout::statuses(&mut self.machine, &self.image)?;
        let header = readout::header(&mut self.machine, &self.image)?;
        self.report.header = header.by_name();
        let vcpus = self.machine.vcpus();
        self.report.threads = statuses
            .values()
            .map(|status| ThreadVerdict {
                pir: status.pir,
                core: vcpus
                    .iter()
                    .find(|vcpu| vcpu.pir == status.pir)
                    .map_or(0, |vcpu| vcpu.core),
                activity: status.activity().to_owned(),
                words: status.by_name(),
            })
            .collect();
        ensure!(
            self.report.threads.len() <= vcpus.len(),
            "the image reports more threads than there are"
        );
        Ok(())
    }

    /// The counters that must be 0 in the end.
    fn check_alarms(&mut self) {
        if !self.options.expect_repair {
            return;
        }
        let mut failures = Vec::new();
        for thread in &self.report.threads {
            for (_, name) in THREAD_ALARMS {
                let count = thread.words.get(name).copied().unwrap_or(0);
                if count != 0 {
                    failures.push(format!("PIR {:#x} ends with {name} = {count}", thread.pir));
                }
            }
            for name in ["guest_checks", "host_checks", "entries"] {
                if thread.words.get(name).copied().unwrap_or(0) == 0 {
                    failures.push(format!("PIR {:#x} has no {name} at all", thread.pir));
                }
            }
        }
        self.report.failures.extend(failures);
    }

    pub(super) fn into_report(mut self) -> Report {
        self.report.records = self.records.into_values().collect();
        self.report
    }
}
