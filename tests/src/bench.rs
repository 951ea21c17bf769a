use crate::adapter::{Death, ModelHardware, Stall};
use crate::campaign;
use crate::checks::Event;
use crate::schedule::{Schedule, Turn, play};
use flight_recorder::FlightRecorder;
use hardware_model::{Configuration, Machine};
use opaline_firmware::decisions::Table;
use opaline_firmware::hardware::{ChipId, Hardware, Pir};
use opaline_firmware::hmi::{self, Outcome};
use opaline_firmware::platform::{Chip, Core, Generation, LpcBus, MemoryRange, Platform, TodRole};
use opaline_firmware::system::{Participation, System};
use std::cell::Cell;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A machine, its platform and the memory that a `System` needs.
#[derive(Debug)]
pub struct Bench {
    /// The modelled machine.
    pub machine: Machine,
    /// What the device tree would say of it.
    pub platform: Platform,
    recorder: Recorder,
}

thread_local! {
    /// Recorders of former benches: they are large, and making one costs more than a recovery.
    static RECORDERS: Cell<Vec<Box<FlightRecorder>>> = const { Cell::new(Vec::new()) };
}

/// An empty flight recorder from the store of this OS thread; it goes back there.
#[derive(Debug)]
struct Recorder(Option<Box<FlightRecorder>>);

impl Recorder {
    fn new() -> Self {
        let mut store = RECORDERS.take();
        let recorder = store.pop().unwrap_or_default();
        RECORDERS.set(store);
        recorder.clear();
        Self(Some(recorder))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // At the end of the OS thread the store may be gone.
        let _ = RECORDERS.try_with(|store| {
            let mut recorders = store.take();
            recorders.extend(self.0.take());
            store.set(recorders);
        });
    }
}

impl Deref for Recorder {
    type Target = FlightRecorder;

    fn deref(&self) -> &FlightRecorder {
        self.0.as_ref().expect("taken when dropped only")
    }
}

/// What a thread does while the others handle an HMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs the OS: takes its HMI at once.
    Os,
    /// Runs the OS, but takes its HMI only after so many spins.
    Late(u64),
    /// In the firmware's idle loop: comes when it is summoned, takes no interrupt.
    Idle,
    /// The firmware waits for it, but it never comes.
    Lost,
    /// Comes, and after so many accesses of its handler it makes no access any more. It lives
    /// where nobody decides over turns ([`Schedule::Free`]).
    Dies(u64),
    /// Takes its HMI after `late` spins, and after so many accesses of its handler it stands still
    /// for so many spins, with all that it holds. Where nobody decides over turns it does not.
    Stalls {
        /// Spins before.
        late: u64,
        /// Accesses.
        accesses: u64,
        /// Spins.
        spins: u64,
    },
    /// Not started; the firmware knows.
    Absent,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// Per thread: what each call of the handler answered.
    pub outcomes: Vec<Vec<Outcome>>,
    /// All events, oldest first.
    pub events: Vec<Event>,
    /// Model time that the run took, in ticks.
    pub ticks: u64,
}

impl Ran {
    /// All flags that a thread got.
    #[must_use]
    pub fn flags(&self, thread: usize) -> u64 {
        self.outcomes[thread]
            .iter()
            .fold(0, |all, outcome| all | outcome.flags)
    }
}

impl Bench {
    /// A bench around a machine of this configuration.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        let platform = platform(&configuration);
        Self {
            machine: Machine::new(configuration),
            platform,
            recorder: Recorder::new(),
        }
    }

    /// The firmware's state: all threads run the OS, one spin is one microsecond.
    ///
    /// # Panics
    /// If the firmware refuses the platform.
    #[must_use]
    pub fn system(&self) -> System<'_> {
        let system = System::new(&self.platform, &self.recorder).expect("a sound platform");
        system.set_spins_per_microsecond(1);
        for thread in 0..self.machine.configuration().threads() {
            system.set_participation(self.pir(thread), Participation::Running);
        }
        system
    }

    /// As [`Self::system`], with the register cache that the boot fills.
    ///
    /// # Panics
    /// If the cache cannot be filled.
    #[must_use]
    pub fn booted_system(&self) -> System<'_> {
        let system = self.system();
        system
            .cache_tod_registers(&mut self.hardware(0))
            .expect("a free lock");
        self.machine.clear_trace();
        system
    }

    /// What each thread did.
    #[must_use]
    pub fn recorder(&self) -> &FlightRecorder {
        &self.recorder
    }

    /// PIR of a thread.
    #[must_use]
    pub fn pir(&self, thread: usize) -> Pir {
        Pir(self.machine.configuration().pir(thread))
    }

    /// The hardware of one thread, with nobody else running.
    #[must_use]
    pub fn hardware(&self, thread: usize) -> ModelHardware<'_> {
        ModelHardware::alone(self.machine.thread(thread))
    }

    /// A run in which every thread runs the OS.
    #[must_use]
    pub fn run<'a>(&'a self, system: &'a System<'a>, schedule: Schedule) -> Run<'a> {
        let roles = vec![Role::Os; self.machine.configuration().threads()];
        Run {
            bench: self,
            system,
            schedule,
            roles,
        }
    }
}

/// A run to come.
#[derive(Debug)]
pub struct Run<'a> {
    bench: &'a Bench,
    system: &'a System<'a>,
    schedule: Schedule,
    roles: Vec<Role>,
}

impl Run<'_> {
    /// Gives a thread another role.
    #[must_use]
    pub fn role(mut self, thread: usize, role: Role) -> Self {
        self.roles[thread] = role;
        self
    }

    /// Delivers HMIs until none is pending in a thread that takes them.
    ///
    /// # Panics
    /// If a thread panics: the model's watchdog, or the firmware.
    #[must_use]
    pub fn go(self) -> Ran {
        let machine = &self.bench.machine;
        let started = machine.now();
        let mut coming = Vec::new();
        for (thread, role) in self.roles.iter().enumerate() {
            let participation = match role {
                Role::Os | Role::Late(_) | Role::Lost | Role::Dies(_) | Role::Stalls { .. } => {
                    Participation::Running
                }
                Role::Idle => Participation::FirmwareIdle,
                Role::Absent => Participation::Absent,
            };
            self.system
                .set_participation(self.bench.pir(thread), participation);
            if !matches!(role, Role::Lost | Role::Absent) {
                coming.push(thread);
            }
        }
        let resting = AtomicUsize::new(0);
        let dead = AtomicU64::new(0);
        let mut outcomes: Vec<Vec<Outcome>> = self.roles.iter().map(|_| Vec::new()).collect();
        let answers = play(self.schedule, &coming, |thread, turn| {
            self.thread(thread, turn, &resting, &dead, &coming)
        });
        for (&thread, answers) in coming.iter().zip(answers) {
            outcomes[thread] = answers.unwrap_or_default();
        }
        let events = std::iter::from_fn(|| self.system.events.take())
            .map(Event::decode)
            .collect();
        let rows = Table::ALL.map(|table| self.system.decisions.hits(table));
        campaign::keep(machine.configuration().generation, &rows);
        Ran {
            outcomes,
            events,
            ticks: machine.now() - started,
        }
    }

    /// The life of one thread.
    fn thread(
        &self,
        thread: usize,
        turn: Option<Turn<'_>>,
        resting: &AtomicUsize,
        dead: &AtomicU64,
        coming: &[usize],
    ) -> Vec<Outcome> {
        let machine = &self.bench.machine;
        let mut hardware = ModelHardware::new(machine.thread(thread), turn);
        if let Role::Late(late) | Role::Stalls { late, .. } = self.roles[thread] {
            // As a wait, so that it lasts as long as those of the others who wait for this thread.
            let mut left = late;
            while left > 0 {
                left -= hardware.relax_up_to(left);
            }
        }
        if let Role::Stalls {
            accesses, spins, ..
        } = self.roles[thread]
        {
            hardware.stalling(Some(Stall { accesses, spins }));
        }
        if let Role::Dies(accesses) = self.roles[thread] {
            hardware.mortal(Some(Death { accesses, dead }));
        }
        let called = |thread: usize| {
            if dead.load(Ordering::SeqCst) >> thread & 1 != 0 {
                false
            } else if self.roles[thread] == Role::Idle {
                self.system.summoned(self.bench.pir(thread))
            } else {
                machine.hmi_pending(thread)
            }
        };
        let mut answers = Vec::new();
        loop {
            if called(thread) {
                assert!(answers.len() < 20, "an interrupt storm in thread {thread}");
                answers.push(hmi::handle(&mut hardware, self.system));
            } else if coming.iter().any(|other| called(*other)) {
                hardware.relax();
            } else {
                // Nothing to do: no access either, so that no further fault strikes. All leave
                // together, or a meeting would wait for someone who has gone.
                resting.fetch_add(1, Ordering::SeqCst);
                while !called(thread) {
                    let gone = dead.load(Ordering::SeqCst).count_ones() as usize;
                    if resting.load(Ordering::SeqCst) + gone == coming.len() {
                        return answers;
                    }
                    match turn {
                        Some(turn) => turn.rest(),
                        None => std::thread::yield_now(),
                    }
                }
                resting.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
}

/// What a device tree would say of the machine.
fn platform(configuration: &Configuration) -> Platform {
    let generation = match configuration.generation {
        hardware_model::Generation::Power8 => Generation::Power8,
        hardware_model::Generation::Power9 => Generation::Power9,
        hardware_model::Generation::Power10 => Generation::Power10,
    };
    let id = |chip: usize| ChipId(configuration.chip_id(chip));
    let role = |chip: usize| {
        if chip == configuration.topology.primary {
            TodRole::Primary
        } else if configuration.topology.secondary == Some(chip) {
            TodRole::Secondary
        } else {
            TodRole::Slave
        }
    };
    let chips = (0..configuration.chips).map(|chip| Chip {
        id: id(chip),
        xscom_base: configuration.xscom_base(chip),
        xscom_size: configuration.xscom_size(),
        chip_tod: Some(role(chip)),
        npus: configuration.npus.iter().copied().collect(),
    });
    let cores = (0..configuration.cores()).map(|core| {
        let first = core * configuration.threads_per_core;
        let threads = first..first + configuration.threads_per_core;
        let threads = threads.map(|thread| Pir(configuration.pir(thread)));
        Core {
            fused: configuration.fused,
            pair: configuration.pair_of(core),
            ..Core::new(id(configuration.chip_of(core)), threads.collect())
        }
    });
    Platform {
        generation,
        chips: chips.collect(),
        cores: cores.collect(),
        memory: [MemoryRange {
            start: 0,
            size: 1 << 30,
        }]
        .into_iter()
        .collect(),
        lpc: LpcBus::Mapped {
            base: 0x0006_0300_0000_0000,
        },
        uart_port: 0x3f8,
        core_hz: configuration.core_hz,
        // The major revision decides how a fused core is aimed at.
        processor_version: if configuration.fused_aim {
            0x0080_0200
        } else {
            0x0080_0100
        },
        is_qemu: false,
    }
}
