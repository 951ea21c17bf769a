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
    ScomFir = 9,
    DebugTrigger = 10,
    HypervisorResource = 11,
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
}

/// Bytes of an encoded event.
pub const SIZE: usize = 40;
const VERSION: u8 = 2;

impl HmiEvent {
    /// The bytes that the OS reads (big-endian; no checkstop details).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[0] = VERSION;
        bytes[1] = self.severity as u8;
        bytes[2] = self.event_type as u8;
        bytes[3] = self.disposition as u8;
        bytes[8..16].copy_from_slice(&self.hmer.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.tfmr.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden trace T13 of HMI and ChipTOD specification, section 12.3.
    #[test]
    fn golden_bytes() {
        let event = HmiEvent {
            severity: Severity::ErrorSync,
            event_type: EventType::TimerFacility,
            disposition: Disposition::Recovered,
            hmer: 0x0840_0000_0000_0000,
            tfmr: 0x2a12_0009_80a4_4000,
        };
        let mut expected = [0; SIZE];
        expected[..24].copy_from_slice(&[
            2, 2, 4, 0, 0, 0, 0, 0, 0x08, 0x40, 0, 0, 0, 0, 0, 0, 0x2a, 0x12, 0, 0x09, 0x80, 0xa4,
            0x40, 0,
        ]);
        assert_eq!(event.to_bytes(), expected);
    }
}
