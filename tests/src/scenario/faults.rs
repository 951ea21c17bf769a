//! From a fault in a file to one of the model.

use super::case::{CommandFailure, FaultCase, Kind, Processor, Shape};
use hardware_model::{
    CommandFailure as ModelFailure, CoreCause, CoreError, Fault, ThreadError, XscomAnswer,
    XscomFault,
};
use power_registers::{TbState, Tfmr};

/// Why a fault cannot be inflicted: the key that is wrong, and what is wrong with it.
pub(super) type Problem = (&'static str, String);

const CHIP_KINDS: [Kind; 12] = [
    Kind::Tod,
    Kind::TodTime,
    Kind::TodDead,
    Kind::Scom,
    Kind::Nx,
    Kind::Capp,
    Kind::Npu,
    Kind::Alert,
    Kind::OscillatorDead,
    Kind::SlavePathDead,
    Kind::EngineBlocked,
    Kind::XscomHealed,
];

impl FaultCase {
    /// The core, thread or chip, if it is there.
    fn place(
        &self,
        key: &'static str,
        given: Option<usize>,
        most: usize,
    ) -> Result<usize, Problem> {
        let Some(place) = given else {
            return Err(("kind", format!("{:?} needs the key {key:?}", self.kind)));
        };
        if place < most {
            Ok(place)
        } else {
            Err((
                key,
                format!("{key} {place} does not exist: there are {most}"),
            ))
        }
    }

    fn core_error(&self) -> Result<Option<CoreError>, Problem> {
        Ok(Some(match self.kind {
            Kind::HdecParity => CoreError::HdecParity,
            Kind::TbResidue => CoreError::TbResidue,
            Kind::TbstCorrupt => CoreError::TbstCorrupt,
            Kind::MissingSync => CoreError::MissingSync,
            Kind::MissingStep => CoreError::MissingStep,
            Kind::StepsLost => CoreError::StepsLost {
                ticks: self.value.map_or(u64::MAX, |value| value.0),
            },
            Kind::FirmwareControl => CoreError::FirmwareControl,
            Kind::Transfer => CoreError::Transfer,
            Kind::NoReason => CoreError::NoReason,
            Kind::TfmrCorrupt => CoreError::TfmrCorrupt { tb_survives: true },
            Kind::TfmrCorruptTbLost => CoreError::TfmrCorrupt { tb_survives: false },
            Kind::TodTimeout => CoreError::TodTimeout,
            Kind::TodParity => CoreError::TodParity,
            Kind::StuckMove => CoreError::StuckMove,
            Kind::StuckLoadTodMod => CoreError::StuckLoadTodMod,
            Kind::CommandsFail => CoreError::CommandsFail {
                failure: self
                    .failure
                    .ok_or(("kind", "CommandsFail needs the key \"failure\"".to_owned()))?
                    .model(),
                count: u32::try_from(self.count.unwrap_or(u64::from(u32::MAX))).unwrap_or(u32::MAX),
            },
            Kind::Raw => CoreError::Raw {
                state: state(self.state.unwrap_or(8))?,
                commands: Tfmr::from_bits_retain(self.commands.unwrap_or_default().0),
                errors: Tfmr::from_bits_retain(self.bits.unwrap_or_default().0),
            },
            _ => return Ok(None),
        }))
    }

    fn cause(&self) -> Result<Option<CoreCause>, Problem> {
        Ok(Some(match self.kind {
            Kind::Recovered => CoreCause::Recovered {
                fir_bit: self.bits.map_or(43, |bits| bits.0.leading_zeros() as u8),
            },
            Kind::RecoveredMasked => CoreCause::RecoveredMasked,
            Kind::RecoveredAgain => CoreCause::RecoveredAgain,
            Kind::SpurrScaleLimit => CoreCause::SpurrScaleLimit,
            Kind::ScomFir => CoreCause::ScomFir,
            Kind::DebugTrigger => CoreCause::DebugTrigger,
            Kind::HypervisorResource => CoreCause::HypervisorResource,
            _ => return Ok(None),
        }))
    }

    fn thread_error(&self) -> Option<ThreadError> {
        Some(match self.kind {
            Kind::PurrParity => ThreadError::PurrParity,
            Kind::SpurrParity => ThreadError::SpurrParity,
            Kind::DecParity => ThreadError::DecParity,
            Kind::PurrOverflow => ThreadError::PurrOverflow,
            Kind::SpurrOverflow => ThreadError::SpurrOverflow,
            _ => return None,
        })
    }

    /// Whether this processor can have it.
    pub(super) fn exists_on(&self, processor: Processor) -> bool {
        let power10 = processor == Processor::Power10;
        match self.kind {
            Kind::Transfer | Kind::SpurrScaleLimit => power10,
            Kind::TodTimeout
            | Kind::RecoveredMasked
            | Kind::HypervisorResource
            | Kind::Nx
            | Kind::Capp => !power10,
            Kind::CommandsFail => self.failure != Some(CommandFailure::LoadTimeout) || !power10,
            Kind::LostWakeup => processor == Processor::Power9,
            _ => true,
        }
    }

    /// The fault as the model has it.
    pub(super) fn model(&self, shape: &Shape) -> Result<Fault, Problem> {
        let bits = self.bits.unwrap_or_default().0;
        let value = self.value.unwrap_or_default().0;
        let core = || self.place("core", self.core, shape.all_cores());
        if let Some(error) = self.core_error()? {
            return Ok(Fault::Core {
                core: core()?,
                error,
            });
        }
        if let Some(cause) = self.cause()? {
            return Ok(Fault::Cause {
                core: core()?,
                cause,
            });
        }
        let thread = || self.place("thread", self.thread, shape.all_threads());
        if let Some(error) = self.thread_error() {
            return Ok(Fault::Thread {
                thread: thread()?,
                error,
            });
        }
        let chip = if CHIP_KINDS.contains(&self.kind) && self.kind != Kind::XscomHealed {
            self.place("chip", self.chip, shape.chips)?
        } else {
            0
        };
        Ok(match self.kind {
            Kind::Timebase => Fault::Timebase {
                thread: thread()?,
                value,
            },
            Kind::Hmer => {
                let who = self.threads.clone().unwrap_or_default();
                let threads = 0..shape.all_threads();
                Fault::Hmer {
                    threads: threads.filter(|thread| who.means(shape, *thread)).collect(),
                    bits,
                }
            }
            Kind::Tod => Fault::Tod { chip, bits },
            Kind::TodTime => Fault::TodTime { chip, value },
            Kind::TodDead => Fault::TodStarts { chip, able: false },
            Kind::CoreFir => Fault::CoreFir {
                core: core()?,
                bits,
            },
            Kind::Nx => Fault::Nx {
                chip,
                dma: bits,
                pbi: value,
            },
            Kind::Capp => Fault::Capp {
                chip,
                unit: self.unit,
                bits,
            },
            Kind::Npu => Fault::Npu {
                chip,
                unit: 0,
                fir: self.unit,
                bits,
            },
            Kind::Alert => Fault::Alert { chip },
            Kind::OscillatorDead => Fault::Oscillator {
                chip,
                path: self.path,
                valid: false,
            },
            Kind::SlavePathDead => Fault::SlavePath {
                chip,
                path: self.path,
                valid: false,
            },
            Kind::Asleep => Fault::Asleep {
                core: core()?,
                status: self.status.unwrap_or(2),
            },
            Kind::Awake => Fault::Awake { core: core()? },
            Kind::LostWakeup => Fault::LostWakeup { core: core()? },
            Kind::EngineBlocked => Fault::EngineBlocked { chip },
            Kind::XscomHealed => Fault::XscomHealed,
            Kind::Xscom => Fault::Xscom(XscomFault {
                address: self.address,
                chip: self.chip,
                thread: self.thread,
                after: self.skip,
                count: self.count.unwrap_or(u64::MAX),
                ..XscomFault::new(
                    self.status
                        .map_or(XscomAnswer::NeverDone, XscomAnswer::Status),
                )
            }),
            // A SCOM register is provided, not broken: see the stage.
            _ => {
                return Err((
                    "kind",
                    format!("{:?} is not a fault of the model", self.kind),
                ));
            }
        })
    }
}

fn state(code: u8) -> Result<TbState, Problem> {
    match TbState::from_code(code) {
        TbState::Unknown(_) => Err(("state", format!("there is no state {code}"))),
        state if state.code() == code => Ok(state),
        _ => Err(("state", format!("there is no state {code}"))),
    }
}

impl CommandFailure {
    const fn model(self) -> ModelFailure {
        match self {
            Self::ClearIneffective => ModelFailure::ClearIneffective,
            Self::LoadStuck => ModelFailure::LoadStuck,
            Self::LoadTimeout => ModelFailure::LoadTimeout,
            Self::MoveLost => ModelFailure::MoveLost,
            Self::MoveParity => ModelFailure::MoveParity,
            Self::MoveResidue => ModelFailure::MoveResidue,
        }
    }
}
