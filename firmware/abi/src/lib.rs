//! The OPAL call interface as Linux sees it: numbers and shapes, no behaviour.
//!
//! Scalars in memory are big-endian. Source: OPAL contract, section B2, and HMI and ChipTOD specification, section 5.
#![no_std]
#![forbid(unsafe_code)]

pub mod hmi_event;
pub mod message;
pub mod xive;

/// An OPAL call, by its number in r0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Token {
    /// Test call; answers [`TEST_ANSWER`].
    #[doc(alias = "OPAL_TEST")]
    Test = 0,
    /// Write to a console: (terminal, *length, buffer).
    #[doc(alias = "OPAL_CONSOLE_WRITE")]
    ConsoleWrite = 1,
    /// Read from a console: (terminal, *length, buffer).
    #[doc(alias = "OPAL_CONSOLE_READ")]
    ConsoleRead = 2,
    /// The time of day: (*date, *time) in binary-coded decimal.
    #[doc(alias = "OPAL_RTC_READ")]
    RtcRead = 3,
    /// Sets the time of day: (date, time).
    #[doc(alias = "OPAL_RTC_WRITE")]
    RtcWrite = 4,
    /// Power down: (0).
    #[doc(alias = "OPAL_CEC_POWER_DOWN")]
    CecPowerDown = 5,
    /// Reboot.
    #[doc(alias = "OPAL_CEC_REBOOT")]
    CecReboot = 6,
    /// Run pollers and report pending events: (*events or null).
    #[doc(alias = "OPAL_POLL_EVENTS")]
    PollEvents = 10,
    /// Room in the console: (terminal, *length).
    #[doc(alias = "OPAL_CONSOLE_WRITE_BUFFER_SPACE")]
    ConsoleWriteBufferSpace = 25,
    /// Starts a thread that waits in the firmware: (PIR, real address).
    #[doc(alias = "OPAL_START_CPU")]
    StartCpu = 41,
    /// Whether a thread can be started: (PIR, *byte).
    #[doc(alias = "OPAL_QUERY_CPU_STATUS")]
    QueryCpuStatus = 42,
    /// The calling thread goes back to wait in the firmware; no return.
    #[doc(alias = "OPAL_RETURN_CPU")]
    ReturnCpu = 69,
    /// Sets all threads up for an OS: (flags).
    #[doc(alias = "OPAL_REINIT_CPUS")]
    ReinitCpus = 70,
    /// Reload this core's TB from the ChipTOD.
    #[doc(alias = "OPAL_RESYNC_TIMEBASE")]
    ResyncTimebase = 79,
    /// Whether a token is implemented: (token) gives 0 or 1.
    #[doc(alias = "OPAL_CHECK_TOKEN")]
    CheckToken = 80,
    /// Fetch one message: (buffer, size).
    #[doc(alias = "OPAL_GET_MSG")]
    GetMessage = 85,
    /// Before a reboot: nothing of the firmware is under way any more.
    #[doc(alias = "OPAL_SYNC_HOST_REBOOT")]
    SyncHostReboot = 87,
    /// Handle an HMI on the calling thread.
    #[doc(alias = "OPAL_HANDLE_HMI")]
    HandleHmi = 98,
    /// Reboot in a certain way: (type, message).
    #[doc(alias = "OPAL_CEC_REBOOT2")]
    CecReboot2 = 116,
    /// Waits until the console has sent everything: (terminal).
    #[doc(alias = "OPAL_CONSOLE_FLUSH")]
    ConsoleFlush = 117,
    /// Tells the nest MMU where the partition table is: (chip, PTCR).
    #[doc(alias = "OPAL_NMMU_SET_PTCR")]
    NmmuSetPtcr = 127,
    /// Handle an HMI on the calling thread: (*flags).
    #[doc(alias = "OPAL_HANDLE_HMI2")]
    HandleHmi2 = 166,
}

/// What [`Token::Test`] answers; as the reference does.
pub const TEST_ANSWER: i64 = 0xfeed_f00d;

impl Token {
    /// Every token that is implemented.
    pub const ALL: [Self; 22] = [
        Self::Test,
        Self::ConsoleWrite,
        Self::ConsoleRead,
        Self::RtcRead,
        Self::RtcWrite,
        Self::CecPowerDown,
        Self::CecReboot,
        Self::PollEvents,
        Self::ConsoleWriteBufferSpace,
        Self::StartCpu,
        Self::QueryCpuStatus,
        Self::ReturnCpu,
        Self::ReinitCpus,
        Self::ResyncTimebase,
        Self::CheckToken,
        Self::GetMessage,
        Self::SyncHostReboot,
        Self::HandleHmi,
        Self::CecReboot2,
        Self::ConsoleFlush,
        Self::NmmuSetPtcr,
        Self::HandleHmi2,
    ];

    /// The token of a number, if it is implemented.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Test,
            1 => Self::ConsoleWrite,
            2 => Self::ConsoleRead,
            3 => Self::RtcRead,
            4 => Self::RtcWrite,
            5 => Self::CecPowerDown,
            6 => Self::CecReboot,
            10 => Self::PollEvents,
            25 => Self::ConsoleWriteBufferSpace,
            41 => Self::StartCpu,
            42 => Self::QueryCpuStatus,
            69 => Self::ReturnCpu,
            70 => Self::ReinitCpus,
            79 => Self::ResyncTimebase,
            80 => Self::CheckToken,
            85 => Self::GetMessage,
            87 => Self::SyncHostReboot,
            98 => Self::HandleHmi,
            116 => Self::CecReboot2,
            117 => Self::ConsoleFlush,
            127 => Self::NmmuSetPtcr,
            166 => Self::HandleHmi2,
            _ => return None,
        })
    }
}

/// Why an OPAL call did not succeed: the negative return codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i64)]
#[allow(missing_docs, reason = "the names are the ABI's own")]
pub enum OpalError {
    Parameter = -1,
    Busy = -2,
    Partial = -3,
    Closed = -5,
    Hardware = -6,
    Unsupported = -7,
    Permission = -8,
    NoMemory = -9,
    Resource = -10,
    InternalError = -11,
    BusyEvent = -12,
    WrongState = -14,
    XiveFreeActive = -32,
}

impl OpalError {
    /// The value in r3.
    #[must_use]
    pub const fn code(self) -> i64 {
        self as i64
    }
}

/// `OPAL_SUCCESS`.
pub const SUCCESS: i64 = 0;

/// What [`Token::QueryCpuStatus`] stores.
pub mod cpu_status {
    /// Waits in the firmware.
    #[doc(alias = "OPAL_THREAD_INACTIVE")]
    pub const INACTIVE: u8 = 0;
    /// Belongs to the OS.
    #[doc(alias = "OPAL_THREAD_STARTED")]
    pub const STARTED: u8 = 1;
    /// Cannot be used.
    #[doc(alias = "OPAL_THREAD_UNAVAILABLE")]
    pub const UNAVAILABLE: u8 = 2;
}

/// Flags of [`Token::ReinitCpus`].
pub mod reinit_flags {
    /// Interrupts are taken in big-endian mode.
    #[doc(alias = "OPAL_REINIT_CPUS_HILE_BE")]
    pub const BIG_ENDIAN: u64 = 1 << 0;
    /// Interrupts are taken in little-endian mode.
    #[doc(alias = "OPAL_REINIT_CPUS_HILE_LE")]
    pub const LITTLE_ENDIAN: u64 = 1 << 1;
    /// The OS can use the hashed page table.
    #[doc(alias = "OPAL_REINIT_CPUS_MMU_HASH")]
    pub const HASH: u64 = 1 << 2;
    /// The OS can use radix trees.
    #[doc(alias = "OPAL_REINIT_CPUS_MMU_RADIX")]
    pub const RADIX: u64 = 1 << 3;
}

/// Types of [`Token::CecReboot2`].
pub mod reboot_type {
    /// As [`super::Token::CecReboot`].
    pub const NORMAL: u64 = 0;
    /// The OS cannot go on because of an error that the platform reported.
    pub const PLATFORM_ERROR: u64 = 1;
    /// The whole machine.
    pub const FULL: u64 = 2;
    /// Keep the OS's memory for a dump.
    pub const MEMORY_PRESERVING: u64 = 3;
    /// Without the lengthy parts.
    pub const FAST: u64 = 4;
}

/// Flags that [`Token::HandleHmi2`] stores, as values (the ABI counts these from the least bit).
pub mod hmi_flags {
    /// TB was reloaded from the TOD on this core.
    #[doc(alias = "OPAL_HMI_FLAGS_TB_RESYNC")]
    pub const TB_RESYNC: u64 = 1 << 0;
    /// DEC of this thread was lost; it is left about to fire.
    #[doc(alias = "OPAL_HMI_FLAGS_DEC_LOST")]
    pub const DEC_LOST: u64 = 1 << 1;
    /// HDEC of this core was lost.
    #[doc(alias = "OPAL_HMI_FLAGS_HDEC_LOST")]
    pub const HDEC_LOST: u64 = 1 << 2;
    /// TB is not valid on return.
    #[doc(alias = "OPAL_HMI_FLAGS_TOD_TB_FAIL")]
    pub const TOD_TB_FAIL: u64 = 1 << 3;
    /// This call queued an event message.
    #[doc(alias = "OPAL_HMI_FLAGS_NEW_EVENT")]
    pub const NEW_EVENT: u64 = 1 << 63;
}

/// Bits of the event mask of [`Token::PollEvents`].
pub mod events {
    /// Console input is waiting.
    #[doc(alias = "OPAL_EVENT_CONSOLE_INPUT")]
    pub const CONSOLE_INPUT: u64 = 0x10;
    /// A message waits for [`super::Token::GetMessage`].
    #[doc(alias = "OPAL_EVENT_MSG_PENDING")]
    pub const MESSAGE_PENDING: u64 = 0x800;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_holes_are_refused() {
        let mut known = 0;
        for number in 0..=400 {
            if let Some(token) = Token::from_number(number) {
                assert_eq!(token as u64, number);
                assert!(Token::ALL.contains(&token));
                known += 1;
            }
        }
        assert_eq!(known, Token::ALL.len());
        assert_eq!(Token::from_number(u64::MAX), None);
    }

    #[test]
    fn return_codes_are_those_of_the_contract() {
        assert_eq!(OpalError::Parameter.code(), -1);
        assert_eq!(OpalError::Hardware.code(), -6);
        assert_eq!(OpalError::Unsupported.code(), -7);
        assert_eq!(OpalError::Resource.code(), -10);
        assert_eq!(OpalError::BusyEvent.code(), -12);
        assert_eq!(OpalError::WrongState.code(), -14);
    }
}
