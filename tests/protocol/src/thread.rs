//! One thread in the model, in 64 bits: what it does outside of the shipped programs, where it stands
//! in them, and what the hardware keeps for it.

use hmi_meeting::way::{Came, Place as WayPlace, Report, Way};
use hmi_meeting::{AbortReason, Findings, Phase, Word, mask_of};
use hypervisor_shim::passage::{Passage, Place, Wait};

/// Generation of the meeting's word in every state: threads keep how old theirs is.
pub const GENERATION: u32 = 100;
/// Ages from here on are all the same: long ago.
const OLDEST: u32 = 7;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Life {
    /// In the host, interrupts open.
    Host,
    /// In the host, interrupts closed.
    Closed,
    /// In an OPAL call other than the handler.
    InOpal,
    /// In the firmware's idle loop: it takes no interrupt, but heeds a summons.
    Idle,
    /// Asleep in the OS: only its own HMI wakes it.
    Asleep,
    /// Not started, or taken away: not expected.
    Offline,
    /// On its way into a guest, in it, out of it, or through an HMI.
    Passing,
    /// It stopped for ever, and nobody knows.
    Dead,
}

impl Life {
    const ALL: [Self; 8] = [
        Self::Host,
        Self::Closed,
        Self::InOpal,
        Self::Idle,
        Self::Asleep,
        Self::Offline,
        Self::Passing,
        Self::Dead,
    ];
}

/// One bit of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flag {
    /// An HMI waits: HMER.
    Pending = 3,
    /// A doorbell rang.
    Rung = 4,
    /// Its HDEC is dirty: the error comes back until it is rewritten.
    Dirty = 5,
    /// Its own DEC, PURR or SPURR is broken.
    Local = 6,
    /// The firmware summons it from the idle loop.
    Summoned = 7,
    /// It may be late: waits of others may run out on it.
    Late = 8,
    /// It may stop for ever.
    Mortal = 9,
    /// It found TB dead after it attended.
    WithoutTime = 10,
    /// It attended this epoch.
    Attended = 11,
    /// The last meeting waited for it in vain.
    Missed = 12,
    /// It owns TFMR.
    Owns = 13,
    /// It loaded the meeting's word and has not read TFMR yet.
    Glanced = 14,
    /// It is in the firmware's handler.
    InFirmware = 15,
    /// Its guest's offset is in TB, as far as it knows.
    Applied = 54,
}

impl Flag {
    const ALL: [Self; 14] = [
        Self::Pending,
        Self::Rung,
        Self::Dirty,
        Self::Local,
        Self::Summoned,
        Self::Late,
        Self::Mortal,
        Self::WithoutTime,
        Self::Attended,
        Self::Missed,
        Self::Owns,
        Self::Glanced,
        Self::InFirmware,
        Self::Applied,
    ];
}

/// A thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Thread(pub u64);

const PASSAGE: u32 = 16;
const KIND: u32 = 21;
const PHASE: u32 = 26;
const REPORT: u32 = 30;
const ROUND: u32 = 35;
const BROKEN: u32 = 38;
const UNREPAIRED: u32 = 39;
const LED: u32 = 40;
const WAY_CAME: u32 = 55;
const SEEN_PHASE: u32 = 42;
const SEEN_AGE: u32 = 46;
const AGE: u32 = 49;
const SEEN_EXPECTS: u32 = 52;
const SEEN_FAILED: u32 = 53;
const WAY_MASK: u64 = 0x01bf_ffff_ffe0_0000;
const CAME: [Came; 3] = [Came::ByInterrupt, Came::BySibling, Came::FromIdle];

/// Places of a passage that last: the others are gone through at once.
const PASSAGES: [Place; 24] = [
    Place::Asking,
    Place::SwitchingIn,
    Place::Looking,
    Place::InGuest,
    Place::SwitchingOut,
    Place::Leaving,
    Place::Closing { interrupted: true },
    Place::Closing { interrupted: false },
    Place::TakingOut,
    Place::LeavingForHmi,
    Place::Awaiting(Wait::Guests),
    Place::Awaiting(Wait::Siblings),
    Place::Awaiting(Wait::Claim),
    Place::GivingUp(Wait::Guests),
    Place::GivingUp(Wait::Siblings),
    Place::GivingUp(Wait::Claim),
    Place::Going,
    Place::Calling,
    Place::Returning,
    Place::Claiming,
    Place::Judging,
    Place::Resyncing,
    Place::Resolving,
    Place::Opening,
];

impl Thread {
    const fn field(self, at: u32, width: u32) -> u64 {
        self.0 >> at & ((1 << width) - 1)
    }

    const fn set_field(&mut self, at: u32, width: u32, value: u64) {
        let mask = ((1 << width) - 1) << at;
        self.0 = self.0 & !mask | value << at & mask;
    }

    /// What it does.
    #[must_use]
    pub fn life(self) -> Life {
        Life::ALL[self.field(0, 3) as usize]
    }

    /// It does something else now.
    pub fn set_life(&mut self, life: Life) {
        self.set_field(0, 3, life as u64);
        if life != Life::Passing {
            self.set_field(PASSAGE, 5, 0);
        }
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(self, flag: Flag) -> bool {
        self.0 >> flag as u32 & 1 != 0
    }

    /// Sets or clears a flag.
    pub const fn set(&mut self, flag: Flag, on: bool) {
        self.set_field(flag as u32, 1, on as u64);
    }

    /// Where it stands, while its life is [`Life::Passing`].
    #[must_use]
    pub fn place(self) -> Place {
        PASSAGES[self.field(PASSAGE, 5) as usize]
    }

    /// Whether it is at this place of its passage, and not in the firmware.
    #[must_use]
    pub fn is_at(self, place: Place) -> bool {
        self.life() == Life::Passing && !self.has(Flag::InFirmware) && self.place() == place
    }

    /// Its passage. The epoch in every state is 0.
    #[must_use]
    pub fn passage(self) -> Passage {
        Passage {
            place: self.place(),
            attended: self.has(Flag::Attended).then_some(0),
        }
    }

    /// # Panics
    /// If the place does not last.
    pub fn set_passage(&mut self, passage: Passage) {
        self.set_life(Life::Passing);
        let code = PASSAGES
            .iter()
            .position(|place| *place == passage.place)
            .expect("a place that lasts");
        self.set_field(PASSAGE, 5, code as u64);
        self.set(Flag::Attended, passage.attended == Some(0));
    }

    /// Its way through the handler.
    #[must_use]
    pub fn way(self, number: u8) -> Way {
        let phase = Phase::from_code(self.field(PHASE, 4));
        let mut way = Way::new(number, CAME[self.field(WAY_CAME, 2) as usize % 3]);
        way.round = self.field(ROUND, 3) as u8;
        way.broken = self.field(BROKEN, 1) != 0;
        way.unrepaired = self.field(UNREPAIRED, 1) != 0;
        way.led = self.field(LED, 1) != 0;
        way.generation = GENERATION - self.field(AGE, 3) as u32;
        way.seen = Word::from_bits(self.field(SEEN_PHASE, 4) << 16);
        way.seen.generation = GENERATION - self.field(SEEN_AGE, 3) as u32;
        if self.field(SEEN_FAILED, 1) != 0 {
            way.seen.findings = Findings::FAILED;
        }
        if self.field(SEEN_EXPECTS, 1) != 0 {
            way.seen.participants = mask_of(number);
        }
        way.place = match self.field(KIND, 5) {
            0 => WayPlace::Looking,
            1 => WayPlace::Joining,
            2 => WayPlace::Meeting,
            3 => WayPlace::Working(phase),
            4 => WayPlace::Retrying(phase),
            5 => WayPlace::Refused(phase),
            6 => WayPlace::Reporting(phase, report(self.field(REPORT, 5))),
            7 => WayPlace::TakingHome,
            8 => WayPlace::Leaving,
            9 => WayPlace::Forgotten,
            10 => WayPlace::AwaitingIdle,
            11 => WayPlace::Alone,
            12 => WayPlace::LookingAgain,
            14 => WayPlace::Dissolving,
            15 => WayPlace::Over,
            _ => WayPlace::Complaining,
        };
        way
    }

    /// Puts its way away; only what its place still needs is kept.
    ///
    /// # Panics
    /// If the place does not last.
    pub fn set_way(&mut self, way: Way) {
        self.0 &= !WAY_MASK;
        let (kind, phase, report) = match way.place {
            WayPlace::Looking => (0, Phase::Idle, 0),
            WayPlace::Joining => (1, Phase::Idle, 0),
            WayPlace::Meeting => (2, Phase::Idle, 0),
            WayPlace::Working(phase) => (3, phase, 0),
            WayPlace::Retrying(phase) => (4, phase, 0),
            WayPlace::Refused(phase) => (5, phase, 0),
            WayPlace::Reporting(phase, report) => (6, phase, code(report)),
            WayPlace::TakingHome => (7, Phase::Idle, 0),
            WayPlace::Leaving => (8, Phase::Idle, 0),
            WayPlace::Forgotten => (9, Phase::Idle, 0),
            WayPlace::AwaitingIdle => (10, Phase::Idle, 0),
            WayPlace::Alone => (11, Phase::Idle, 0),
            WayPlace::LookingAgain => (12, Phase::Idle, 0),
            WayPlace::Complaining => (13, Phase::Idle, 0),
            WayPlace::Dissolving => (14, Phase::Idle, 0),
            WayPlace::Over => (15, Phase::Idle, 0),
            WayPlace::Waiting(_) | WayPlace::Expiring(_) | WayPlace::Forgetting => {
                panic!("a place that does not last: {:?}", way.place)
            }
        };
        self.set_field(KIND, 5, kind);
        self.set_field(PHASE, 4, phase as u64);
        self.set_field(REPORT, 5, report);
        self.set_field(WAY_CAME, 2, way.came as u64);
        self.set_field(ROUND, 3, u64::from(way.round));
        self.set_field(
            BROKEN,
            1,
            u64::from(way.broken && matches!(kind, 1 | 2 | 10)),
        );
        if (2..=8).contains(&kind) || kind == 14 {
            self.set_field(LED, 1, u64::from(way.led));
            self.set_field(AGE, 3, age(way.generation));
            return;
        }
        self.set_field(UNREPAIRED, 1, u64::from(way.unrepaired));
        if self.has(Flag::Glanced) || kind == 1 {
            self.set_field(SEEN_PHASE, 4, way.seen.phase() as u64);
            self.set_field(SEEN_AGE, 3, age(way.seen.generation));
            let failed = way.seen.findings.contains(Findings::FAILED);
            let idle = way.seen.phase() == Phase::Idle;
            self.set_field(SEEN_FAILED, 1, u64::from(failed && idle));
            self.set_field(SEEN_EXPECTS, 1, u64::from(way.seen.expects(way.thread)));
        }
    }

    /// What it saw of the findings of its meeting.
    pub const fn set_findings(&mut self, findings: Findings) {
        self.set_field(REPORT, 5, findings.bits() as u64);
    }

    /// See [`Self::set_findings`].
    #[must_use]
    pub const fn findings(self) -> Findings {
        Findings::from_bits(self.field(REPORT, 5) as u8)
    }

    /// Its way ended.
    pub const fn clear_way(&mut self) {
        self.0 &= !WAY_MASK;
    }

    /// Whether it goes through the meeting that began last.
    #[must_use]
    pub const fn is_in_last_meeting(self) -> bool {
        let kind = self.field(KIND, 5);
        let meets = kind >= 2 && kind <= 8 || kind == 14;
        self.has(Flag::InFirmware) && meets && self.field(AGE, 3) == 0
    }

    /// Whether it led the meeting that began last, when it looked last.
    #[must_use]
    pub const fn led_last_meeting(self) -> bool {
        self.is_in_last_meeting() && self.field(LED, 1) != 0
    }

    /// A meeting began: what it knows of earlier ones is one older.
    pub const fn grow_older(&mut self) {
        let kind = self.field(KIND, 5);
        if !self.has(Flag::InFirmware) {
            return;
        }
        if kind >= 2 && kind <= 8 || kind == 14 {
            let age = self.field(AGE, 3) + 1;
            self.set_field(AGE, 3, if age > 7 { 7 } else { age });
        } else if self.has(Flag::Glanced) || kind == 1 {
            let age = self.field(SEEN_AGE, 3) + 1;
            self.set_field(SEEN_AGE, 3, if age > 7 { 7 } else { age });
        }
    }
}

fn age(generation: u32) -> u64 {
    u64::from(GENERATION.saturating_sub(generation).min(OLDEST))
}

fn report(code: u64) -> Report {
    if code < 16 {
        return Report::Done(Findings::from_bits(code as u8));
    }
    AbortReason::from_code(code - 16).map_or(Report::Retry, Report::Abort)
}

const fn code(report: Report) -> u64 {
    match report {
        Report::Done(findings) => findings.bits() as u64,
        Report::Abort(reason) => 16 + reason as u64,
        Report::Retry => 16,
    }
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.life())?;
        if self.life() == Life::Passing {
            write!(f, " {:?}", self.place())?;
        }
        if self.has(Flag::InFirmware) {
            write!(f, " {:?}", self.way(0).place)?;
        }
        for flag in Flag::ALL {
            if self.has(flag) {
                write!(f, " {flag:?}")?;
            }
        }
        Ok(())
    }
}
