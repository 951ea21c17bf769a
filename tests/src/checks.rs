use crate::bench::{Bench, Ran};
use hardware_model::{Access, Machine, Register};
use opal_abi::hmi_event::Checkstop;
use opal_abi::message;
use power_registers::{Hmer, Spr, TbState, Tfmr};

/// An event as the OS decodes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// 0 none, 1 warning, 2 error, 3 fatal.
    pub severity: u8,
    /// What was found; 4 = timer facility.
    pub event_type: u8,
    /// Whether it was repaired.
    pub recovered: bool,
    /// HMER as found.
    pub hmer: u64,
    /// TFMR as found.
    pub tfmr: Tfmr,
    /// What stopped, if a malfunction alert was traced to it.
    pub checkstop: Option<Checkstop>,
    /// The whole message.
    pub bytes: [u8; message::SIZE],
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            severity,
            event_type,
            recovered,
            hmer,
            tfmr,
            checkstop,
            bytes: _,
        } = self;
        let hmer = Hmer::from_bits_retain(*hmer);
        write!(
            f,
            "Event(type {event_type}, severity {severity}, recovered {recovered}, {hmer:?}, {tfmr:?}, {checkstop:x?})"
        )
    }
}

impl Event {
    /// Decodes a message.
    ///
    /// # Panics
    /// If it is not an HMI event of version 2.
    #[must_use]
    pub fn decode(bytes: [u8; message::SIZE]) -> Self {
        let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        assert_eq!(word(0), 4 << 32 | 40, "type 4, 40 bytes");
        assert_eq!(bytes[8], 2, "version");
        assert!(bytes[11] < 2, "disposition");
        assert_eq!(bytes[12..16], [0; 4], "reserved");
        assert_eq!(bytes[33..36], [0; 3], "reserved");
        assert_eq!(bytes[44..], [0; 28], "padding");
        let place = word(40) >> 32;
        let checkstop = match (bytes[32], word(32) as u32, place as u32) {
            (0, 0, 0) => None,
            (0, reason, place) => panic!("nothing known, but {reason:#x} of {place:#x}"),
            (1, reason, pir) => Some(Checkstop::Core { reason, pir }),
            (2, reason, chip) => Some(Checkstop::Nx { reason, chip }),
            (3, reasons, chip) => Some(Checkstop::Npu {
                reasons: reasons.to_be_bytes(),
                chip,
            }),
            (other, ..) => panic!("checkstop of type {other}"),
        };
        Self {
            severity: bytes[9],
            event_type: bytes[10],
            recovered: bytes[11] == 0,
            hmer: word(16),
            tfmr: Tfmr::from_bits_retain(word(24)),
            checkstop,
            bytes,
        }
    }
}

/// What the firmware wrote, without the XSCOM mailbox protocol in HMER.
#[must_use]
pub fn firmware_writes(machine: &Machine) -> Vec<Access> {
    let mailbox = !Hmer::XSCOM_MAILBOX.bits();
    machine
        .trace()
        .into_iter()
        .filter(|access| match access.register {
            Register::Spr(Spr::Hmer) => access.value != mailbox,
            Register::ScomRead { .. } => false,
            _ => true,
        })
        .collect()
}

/// What one thread wrote to one SPR, in order.
#[must_use]
pub fn writes_of(machine: &Machine, thread: usize, spr: Spr) -> Vec<u64> {
    firmware_writes(machine)
        .into_iter()
        .filter(|access| access.thread == thread && access.register == Register::Spr(spr))
        .map(|access| access.value)
        .collect()
}

impl Bench {
    /// No rule of the model was broken.
    ///
    /// # Panics
    /// If one was.
    #[track_caller]
    pub fn assert_rules_kept(&self) {
        let violations = self.machine.violations();
        assert!(violations.is_empty(), "{violations:#x?}");
    }

    /// TB of this core runs with the right time on every thread, no error bit is left.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_core_good(&self, core: usize) {
        let per_core = self.machine.configuration().threads_per_core;
        for thread in core * per_core..(core + 1) * per_core {
            let tfmr = self.machine.tfmr(thread);
            assert_eq!(tfmr.state(), TbState::Running, "thread {thread}: {tfmr:?}");
            let left = tfmr
                & (Tfmr::CORE_ERRORS
                    | Tfmr::THREAD_ERRORS
                    | Tfmr::COMMANDS
                    | Tfmr::CHIP_TOD_INTERRUPT);
            assert!(left.is_empty(), "thread {thread}: {left:?}");
            let control = tfmr & Tfmr::CONTROL;
            assert_eq!(
                control.bits(),
                self.machine.configuration().base(),
                "thread {thread}"
            );
            self.assert_time(thread);
        }
    }

    /// TB of this thread is the machine's time.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_time(&self, thread: usize) {
        let (timebase, truth) = (self.machine.timebase(thread), self.machine.true_time());
        assert_eq!(
            timebase, truth,
            "TB of thread {thread}: {timebase:#x} is not {truth:#x}"
        );
    }

    /// Nothing that may interrupt is left in HMER of any thread that came.
    ///
    /// # Panics
    /// If something is.
    #[track_caller]
    pub fn assert_hmer_clean(&self, ran: &Ran) {
        for (thread, outcomes) in ran.outcomes.iter().enumerate() {
            if !outcomes.is_empty() {
                let hmer = self.machine.hmer(thread) - Hmer::XSCOM_MAILBOX;
                assert!(hmer.is_empty(), "thread {thread}: {hmer:?}");
            }
        }
    }
}
