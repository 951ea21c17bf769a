//! Why a TOD could not be restarted.

use crate::budget::Expired;
use crate::xscom::XscomError;
use core::fmt;

/// Why a TOD could not be restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartError {
    /// Another core did not let go of the network in time.
    Held,
    /// Another core of this chip has just failed to restart it.
    Hopeless,
    /// The master's steps are dead, and no backup can take over.
    NoBackup,
    /// The switch to the backup was asked for and did not happen, or the chips disagree about it.
    TopologyUnclear {
        /// PSS_MSS_STATUS.
        status: u64,
    },
    /// Some chip cannot be asked whether it runs: a rebuild might put its time out.
    Unknown,
    /// The TODs that run have times under suspicion, which cores of their chips may set right.
    Doubted,
    /// The TODs that run contradict one another, and the time of the right one could not be had.
    Disputed,
    /// TB, by which the TOD was to be set, stopped meanwhile.
    TimebaseLost,
    /// The time was set by TB, but each time after the sync that it was for.
    TooLate,
    /// The TOD got its time, but does not run.
    NotRunning {
        /// Its FSM register.
        fsm: u64,
    },
    /// A ChipTOD register could not be reached.
    Xscom(XscomError),
}

impl From<XscomError> for RestartError {
    fn from(error: XscomError) -> Self {
        Self::Xscom(error)
    }
}

impl From<Expired> for RestartError {
    fn from(_: Expired) -> Self {
        Self::Held
    }
}

impl fmt::Display for RestartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ChipTOD is not restarted: ")?;
        match self {
            Self::Held => f.write_str("the network is held by another core"),
            Self::Hopeless => f.write_str("another core has just failed to"),
            Self::NoBackup => f.write_str("no steps and no backup master"),
            Self::TopologyUnclear { status } => {
                write!(f, "the topology is unclear, status {status:#018x}")
            }
            Self::Unknown => f.write_str("a chip cannot be asked whether it runs"),
            Self::TimebaseLost => f.write_str("TB stopped meanwhile"),
            Self::TooLate => f.write_str("it was set too late for the next sync"),
            Self::Doubted => f.write_str("the ChipTODs that run are under suspicion"),
            Self::Disputed => f.write_str("the ChipTODs that run contradict one another"),
            Self::NotRunning { fsm } => write!(f, "it does not run, FSM {fsm:#018x}"),
            Self::Xscom(why) => write!(f, "not reached: {why}"),
        }
    }
}
