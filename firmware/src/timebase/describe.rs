//! Errors and reports of the timebase as short texts, for the boot log.

use super::boot::{BootError, CoreReport, MasterReport};
use super::{ReloadError, ResyncError, TfmrError};
use core::fmt;

impl fmt::Display for TfmrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, tfmr) = match self {
            Self::Corrupt => return f.write_str("TFMR is corrupt"),
            Self::EnteredError { tfmr } => ("TB went to ERROR", tfmr),
            Self::TimedOut { tfmr } => ("TFMR did not answer", tfmr),
            Self::UnexpectedState { tfmr } => ("TB is in the wrong state", tfmr),
        };
        write!(f, "{what}, TFMR {:#018x} ({:?})", tfmr.bits(), tfmr.state())
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChipTod => f.write_str("the chip has no ChipTOD"),
            Self::TodHeld => f.write_str("the ChipTOD is held by another core"),
            Self::TodNotRunning { fsm } => write!(f, "the ChipTOD does not run, FSM {fsm:#018x}"),
            Self::TodNotRestarted(why) => why.fmt(f),
            Self::Xscom(why) => write!(f, "ChipTOD not reached: {why}"),
            Self::Tfmr(why) => why.fmt(f),
            Self::NotRunning { tfmr } => {
                write!(f, "TB does not run, TFMR {:#018x}", tfmr.bits())
            }
            Self::WentBackwards { before, after } => {
                write!(f, "TB went back from {before:#x} to {after:#x}")
            }
            Self::Contradicted { timebase } => {
                write!(f, "other chips contradict TB {timebase:#x}")
            }
            Self::Doubtful { timebase } => {
                write!(f, "the TOD changed while TB {timebase:#x} was loaded")
            }
        }
    }
}

impl fmt::Display for ResyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownThread => f.write_str("the thread is not in the device tree"),
            Self::InRecovery => f.write_str("a recovery of the core does not end"),
            Self::TfmrHeld => f.write_str("TFMR is held by another thread"),
            Self::Reload(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownThread => f.write_str("the thread is not in the device tree"),
            Self::NoChipTod => f.write_str("the chip has no ChipTOD"),
            Self::NotOnPrimary { primary } => write!(f, "the master is on {primary}"),
            Self::Held => f.write_str("TFMR or the ChipTOD is held by another thread"),
            Self::TodNotRunning { fsm } => {
                write!(f, "the ChipTOD does not start, FSM {fsm:#018x}")
            }
            Self::TodInterrupt(why) => write!(f, "a ChipTOD error stays: {why}"),
            Self::Tfmr(why) => why.fmt(f),
            Self::Xscom(why) => write!(f, "ChipTOD not reached: {why}"),
            Self::Reload(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for CoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TB {:#x} to {:#x}",
            self.timebase_before, self.timebase_after
        )?;
        if self.attempts > 1 {
            write!(f, ", {} tries", self.attempts)?;
        }
        Ok(())
    }
}

impl fmt::Display for MasterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, ", self.chip, self.core)?;
        write!(f, "{} registers saved", self.cached.valid)?;
        if self.cached.unreadable > 0 {
            write!(f, ", {} unreadable", self.cached.unreadable)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip_tod::CachedRegisters;
    use crate::hardware::ChipId;
    use crate::xscom::XscomError;
    use power_registers::Tfmr;
    use std::string::ToString as _;

    #[test]
    fn errors_say_what_and_where_it_stood() {
        let tfmr = Tfmr::from_bits_retain(0x2812_2009_60a2_4000);
        let stuck = BootError::from(ReloadError::from(TfmrError::TimedOut { tfmr }));
        assert_eq!(
            stuck.to_string(),
            "TFMR did not answer, TFMR 0x2812200960a24000 (Error)"
        );
        assert_eq!(
            ReloadError::Xscom(XscomError::NeverDone).to_string(),
            "ChipTOD not reached: the access is never done"
        );
    }

    #[test]
    fn reports_are_short() {
        let report = CoreReport {
            attempts: 2,
            timebase_before: 16,
            timebase_after: 32,
        };
        assert_eq!(report.to_string(), "TB 0x10 to 0x20, 2 tries");
        let core = CoreReport {
            attempts: 1,
            ..report
        };
        let master = |unreadable| MasterReport {
            chip: ChipId(8),
            core,
            loaded: 32,
            cached: CachedRegisters {
                valid: 9,
                unreadable,
            },
        };
        let good = std::format!("{}, TB 0x10 to 0x20, 9 registers saved", ChipId(8));
        assert_eq!(master(0).to_string(), good);
        let some = std::format!("{good}, 2 unreadable");
        assert_eq!(master(2).to_string(), some);
    }
}
