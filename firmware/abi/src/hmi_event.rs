//! The 40-byte event that describes one finding of the HMI handler, version 2.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the ABI's own")]
pub enum Severity {
    NoError = 0,
    Warning = 1,
    ErrorSync = 2,
    Fatal = 3,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the ABI's own")]
pub enum EventType {
    MalfunctionAlert = 0,
    ProcessorRecoveryDone = 1,
    ProcessorRecoveryAgain = 2,
    ProcessorRecoveryMasked = 3,
    TimerFacility = 4,
    TfmrParity = 5,
    HaOverflow = 6,
    ScomFir = 9,
    DebugTrigger = 10,
    HypervisorResource = 11,
    CappRecovery = 12,
    /// A cause that has no type; Linux prints "Unknown".
    Unknown = 255,
}

/// Whether the firmware repaired it; Linux reboots the machine on [`Self::NotRecovered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the ABI's own")]
pub enum Disposition {
    Recovered = 0,
    NotRecovered = 1,
}

/// What a malfunction alert was traced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkstop {
    /// Nothing was found.
    Unknown,
    /// A core.
    Core {
        /// Mask of reasons; 0 = not known.
        reason: u32,
        /// PIR of the core's thread 0.
        pir: u32,
    },
    /// The accelerator NX of a chip.
    Nx {
        /// Mask of reasons; 0 = not known.
        reason: u32,
        /// Number of the chip.
        chip: u32,
    },
    /// An NPU, or on POWER10 a PAU.
    Npu {
        /// Number of a FIR in the upper two bits and of its bit in the others, up to four; 0 = none.
        reasons: [u8; 4],
        /// Number of the chip.
        chip: u32,
    },
}

impl Checkstop {
    /// Type, reason and place, as they stand at offsets 24, 28 and 32 of the event.
    const fn fields(self) -> (u8, [u8; 4], u32) {
        match self {
            Self::Unknown => (0, [0; 4], 0),
            Self::Core { reason, pir } => (1, reason.to_be_bytes(), pir),
            Self::Nx { reason, chip } => (2, reason.to_be_bytes(), chip),
            Self::Npu { reasons, chip } => (3, reasons, chip),
        }
    }
}

/// One finding.
#[doc(alias = "OpalHMIEvent")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HmiEvent {
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub event_type: EventType,
    /// Whether it was repaired.
    pub disposition: Disposition,
    /// HMER as found, before any bit was cleared.
    pub hmer: u64,
    /// TFMR as found, before any repair.
    pub tfmr: u64,
    /// What alarmed, of an event of [`EventType::MalfunctionAlert`]; `None` encodes as
    /// [`Checkstop::Unknown`].
    pub checkstop: Option<Checkstop>,
}

/// Bytes of an encoded event.
pub const SIZE: usize = 40;
const VERSION: u8 = 2;

impl HmiEvent {
    /// The bytes that the OS reads, big-endian.
    ///
    /// Source: HMI and ChipTOD specification, section 5.2.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[0] = VERSION;
        bytes[1] = self.severity as u8;
        bytes[2] = self.event_type as u8;
        bytes[3] = self.disposition as u8;
        bytes[8..16].copy_from_slice(&self.hmer.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.tfmr.to_be_bytes());
        let (kind, reason, place) = self.checkstop.unwrap_or(Checkstop::Unknown).fields();
        bytes[24] = kind;
        bytes[28..32].copy_from_slice(&reason);
        bytes[32..36].copy_from_slice(&place.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HMER: u64 = 0x0840_0000_0000_0000;
    const HMER_BYTES: [u8; 8] = [0x08, 0x40, 0, 0, 0, 0, 0, 0];

    fn alert(severity: Severity, disposition: Disposition, checkstop: Checkstop) -> HmiEvent {
        HmiEvent {
            severity,
            event_type: EventType::MalfunctionAlert,
            disposition,
            hmer: HMER,
            tfmr: 0,
            checkstop: Some(checkstop),
        }
    }

    /// The 24 bytes of version 1, then the 16 that version 2 adds.
    fn golden(head: [u8; 4], tfmr: [u8; 8], tail: [u8; 16]) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..4].copy_from_slice(&head);
        bytes[8..16].copy_from_slice(&HMER_BYTES);
        bytes[16..24].copy_from_slice(&tfmr);
        bytes[24..].copy_from_slice(&tail);
        bytes
    }

    /// Golden trace T13 of HMI and ChipTOD specification, section 12.3, first line.
    #[test]
    fn golden_bytes_of_a_timer_event() {
        let event = HmiEvent {
            severity: Severity::ErrorSync,
            event_type: EventType::TimerFacility,
            disposition: Disposition::Recovered,
            hmer: HMER,
            tfmr: 0x2a12_0009_80a4_4000,
            checkstop: None,
        };
        let tfmr = [0x2a, 0x12, 0, 0x09, 0x80, 0xa4, 0x40, 0];
        assert_eq!(event.to_bytes(), golden([2, 2, 4, 0], tfmr, [0; 16]));
    }

    /// Golden trace T13, second line: a core, VSU logic, PIR 0x8e8.
    #[test]
    fn golden_bytes_of_a_core_checkstop() {
        let stop = Checkstop::Core {
            reason: 0x40,
            pir: 0x8e8,
        };
        let event = alert(Severity::Fatal, Disposition::NotRecovered, stop);
        let tail = [1, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0x08, 0xe8, 0, 0, 0, 0];
        assert_eq!(event.to_bytes(), golden([2, 3, 0, 1], [0; 8], tail));
    }

    /// Golden trace T12: NX of chip 1, DMA invalid state 2.
    #[test]
    fn golden_bytes_of_an_nx_checkstop() {
        let stop = Checkstop::Nx { reason: 4, chip: 1 };
        let event = alert(Severity::Fatal, Disposition::NotRecovered, stop);
        let tail = [2, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(event.to_bytes(), golden([2, 3, 0, 1], [0; 8], tail));
    }

    #[test]
    fn reasons_of_an_npu_stand_in_memory_order() {
        let stop = Checkstop::Npu {
            reasons: [0x41, 0x82, 0x3f, 0],
            chip: 0x11,
        };
        let event = alert(Severity::Warning, Disposition::Recovered, stop);
        let tail = [3, 0, 0, 0, 0x41, 0x82, 0x3f, 0, 0, 0, 0, 0x11, 0, 0, 0, 0];
        assert_eq!(event.to_bytes(), golden([2, 1, 0, 0], [0; 8], tail));
    }

    #[test]
    fn what_is_not_known_is_zero() {
        let unknown = alert(
            Severity::Fatal,
            Disposition::NotRecovered,
            Checkstop::Unknown,
        );
        let none = HmiEvent {
            checkstop: None,
            ..unknown
        };
        assert_eq!(unknown.to_bytes(), none.to_bytes());
        assert_eq!(unknown.to_bytes(), golden([2, 3, 0, 1], [0; 8], [0; 16]));
    }
}
