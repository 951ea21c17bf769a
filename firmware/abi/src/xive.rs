//! The calls of XIVE, which are there only where the device tree has its nodes.

/// A call of XIVE, by its number in r0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum XiveToken {
    /// The firmware's part of an interrupt: (interrupt, *events).
    #[doc(alias = "OPAL_HANDLE_INTERRUPT")]
    HandleInterrupt = 9,
    /// Everything as at the beginning: (mode).
    #[doc(alias = "OPAL_XIVE_RESET")]
    Reset = 128,
    /// How to handle an interrupt: (interrupt, *flags, *end page, *trigger page, *shift, *chip).
    #[doc(alias = "OPAL_XIVE_GET_IRQ_INFO")]
    GetIrqInfo = 129,
    /// Where an interrupt goes: (interrupt, *target, *priority, *number).
    #[doc(alias = "OPAL_XIVE_GET_IRQ_CONFIG")]
    GetIrqConfig = 130,
    /// Sends an interrupt somewhere: (interrupt, target, priority, number).
    #[doc(alias = "OPAL_XIVE_SET_IRQ_CONFIG")]
    SetIrqConfig = 131,
    /// A queue: (target, priority, *page, *size, *end page, *escalation, *flags).
    #[doc(alias = "OPAL_XIVE_GET_QUEUE_INFO")]
    GetQueueInfo = 132,
    /// Sets a queue: (target, priority, page, size, flags).
    #[doc(alias = "OPAL_XIVE_SET_QUEUE_INFO")]
    SetQueueInfo = 133,
    /// Virtual processors: (order) gives the first one.
    #[doc(alias = "OPAL_XIVE_ALLOCATE_VP_BLOCK")]
    AllocateVpBlock = 135,
    /// Gives them back: (first).
    #[doc(alias = "OPAL_XIVE_FREE_VP_BLOCK")]
    FreeVpBlock = 136,
    /// A target: (target, *flags, *ring word, *report, *chip).
    #[doc(alias = "OPAL_XIVE_GET_VP_INFO")]
    GetVpInfo = 137,
    /// Sets a target: (target, flags, report).
    #[doc(alias = "OPAL_XIVE_SET_VP_INFO")]
    SetVpInfo = 138,
    /// An interrupt for software: (chip) gives its number.
    #[doc(alias = "OPAL_XIVE_ALLOCATE_IRQ")]
    AllocateIrq = 139,
    /// Gives it back: (interrupt).
    #[doc(alias = "OPAL_XIVE_FREE_IRQ")]
    FreeIrq = 140,
    /// Waits for what is under way: (kind, interrupt).
    #[doc(alias = "OPAL_XIVE_SYNC")]
    Sync = 141,
    /// Writes a state to the log: (kind, number).
    #[doc(alias = "OPAL_XIVE_DUMP")]
    Dump = 142,
    /// Position of a queue: (target, priority, *generation, *index).
    #[doc(alias = "OPAL_XIVE_GET_QUEUE_STATE")]
    GetQueueState = 143,
    /// Sets it: (target, priority, generation, index).
    #[doc(alias = "OPAL_XIVE_SET_QUEUE_STATE")]
    SetQueueState = 144,
    /// What is pending for a target: (target, *state).
    #[doc(alias = "OPAL_XIVE_GET_VP_STATE")]
    GetVpState = 170,
}

impl XiveToken {
    /// Every one.
    pub const ALL: [Self; 18] = [
        Self::HandleInterrupt,
        Self::Reset,
        Self::GetIrqInfo,
        Self::GetIrqConfig,
        Self::SetIrqConfig,
        Self::GetQueueInfo,
        Self::SetQueueInfo,
        Self::AllocateVpBlock,
        Self::FreeVpBlock,
        Self::GetVpInfo,
        Self::SetVpInfo,
        Self::AllocateIrq,
        Self::FreeIrq,
        Self::Sync,
        Self::Dump,
        Self::GetQueueState,
        Self::SetQueueState,
        Self::GetVpState,
    ];

    /// The token of a number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|token| *token as u64 == number)
    }
}

/// Modes of [`XiveToken::Reset`].
pub mod mode {
    /// The older controller, as an emulation on top of this one.
    #[doc(alias = "OPAL_XIVE_MODE_EMU")]
    pub const EMULATION: u64 = 0;
    /// This controller.
    #[doc(alias = "OPAL_XIVE_MODE_EXPL")]
    pub const EXPLOITATION: u64 = 1;
}

/// Flags of [`XiveToken::GetIrqInfo`].
pub mod irq_flags {
    /// The page that triggers is another than the one that ends.
    pub const TRIGGER_PAGE: u64 = 1 << 0;
    /// A level.
    pub const LEVEL: u64 = 1 << 2;
}

/// Flags of queues.
pub mod queue_flags {
    /// On.
    pub const ENABLED: u64 = 1 << 0;
    /// Each entry notifies.
    pub const ALWAYS_NOTIFY: u64 = 1 << 1;
    /// What no thread takes escalates.
    pub const ESCALATE: u64 = 1 << 2;
}

/// Flags of targets.
pub mod vp_flags {
    /// On.
    pub const ENABLED: u64 = 1 << 0;
    /// All queues escalate alike.
    pub const SINGLE_ESCALATION: u64 = 1 << 1;
}

/// Kinds of [`XiveToken::Sync`], together or alone.
pub mod sync_kind {
    /// Changes of the source.
    pub const SOURCE: u64 = 1 << 0;
    /// What it signalled.
    pub const QUEUE: u64 = 1 << 1;
}

/// Kinds of [`XiveToken::Dump`].
pub mod dump_kind {
    /// A target.
    pub const TARGET: u64 = 4;
    /// There are no more; the others are rings of threads, and an emulation.
    pub const LAST: u64 = 5;
}

/// The chip of [`XiveToken::AllocateIrq`] that stands for any.
pub const ANY_CHIP: u32 = u32::MAX;
/// The target of an interrupt that has none.
pub const NO_TARGET: u64 = 0xffff_ffff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Token;

    #[test]
    fn tokens_round_trip_and_are_nobody_elses() {
        for token in XiveToken::ALL {
            assert_eq!(XiveToken::from_number(token as u64), Some(token));
            assert_eq!(Token::from_number(token as u64), None);
        }
        for hole in [0, 8, 127, 134, 145, 169, 171, u64::MAX] {
            assert_eq!(XiveToken::from_number(hole), None);
        }
    }
}
