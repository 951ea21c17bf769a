//! Hardware that answers what it likes, and knows which addresses belong to the platform.

use hardware_model::Random;
use opaline_firmware::hardware::{Hardware, Pir};
use opaline_firmware::platform::{LpcBus, Platform};
use power_registers::{Hmer, Tfmr};

/// How a register answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Always this.
    Fixed(u64),
    /// What was written last, this at first.
    Memory(u64),
    /// Anything, each time anew.
    Anything,
}

/// Most accesses of one call of the firmware; a wait that never ends makes more.
const MOST: u64 = 100_000_000;

/// One thread of a machine gone mad.
#[derive(Debug)]
pub(super) struct Chaos<'a> {
    platform: &'a Platform,
    pir: Pir,
    pub(super) tfmr: Answer,
    pub(super) timebase: Answer,
    /// What SCOMs read as.
    pub(super) scom: Answer,
    /// HMER is a register in any case: clearing works.
    pub(super) hmer: u64,
    /// Bits that come up in HMER after so many accesses.
    pub(super) later: Option<(u64, u64)>,
    /// Of 256 SCOM accesses so many are never done.
    pub(super) lost: u8,
    /// Of 256 SCOM accesses so many fail.
    pub(super) failed: u8,
    random: Random,
    accesses: u64,
}

impl<'a> Chaos<'a> {
    /// Registers read as 0, the bus and SCOMs as ones.
    pub(super) const fn silent(platform: &'a Platform, pir: Pir) -> Self {
        Self {
            platform,
            pir,
            tfmr: Answer::Fixed(0),
            timebase: Answer::Fixed(0),
            scom: Answer::Fixed(u64::MAX),
            hmer: 0,
            later: None,
            lost: 0,
            failed: 0,
            random: Random::new(1),
            accesses: 0,
        }
    }

    /// As [`Self::silent`], with its own sequence of "anything".
    pub(super) const fn new(platform: &'a Platform, pir: Pir, seed: u64) -> Self {
        let mut new = Self::silent(platform, pir);
        new.random = Random::new(seed);
        new
    }

    /// Accesses so far, spins included.
    pub(super) const fn accesses(&self) -> u64 {
        self.accesses
    }

    fn count(&mut self) {
        self.accesses += 1;
        assert!(self.accesses < MOST, "some wait has no end");
        if let Some((at, bits)) = self.later
            && at <= self.accesses
        {
            self.hmer |= bits;
            self.later = None;
        }
    }

    fn answer(&mut self, of: Answer) -> u64 {
        match of {
            Answer::Fixed(value) | Answer::Memory(value) => value,
            Answer::Anything => self.random.word(),
        }
    }

    /// The outcome of a SCOM goes to HMER.
    fn finish_scom(&mut self) {
        let dice = self.random.word() as u8;
        if dice < self.lost {
            return;
        }
        self.hmer |= Hmer::XSCOM_DONE.bits();
        if dice < self.lost.saturating_add(self.failed) {
            self.hmer |= Hmer::XSCOM_FAIL.bits() | (1 + self.random.below(7)) << 40;
        }
    }

    fn check(&self, address: u64, bytes: u64) {
        let holds = |start: u64, size: u64| {
            address
                .checked_sub(start)
                .is_some_and(|offset| offset <= size - bytes)
        };
        let chips = &self.platform.chips;
        let in_xscom = bytes == 8
            && address.is_multiple_of(8)
            && chips
                .iter()
                .any(|chip| holds(chip.xscom_base, chip.xscom_size));
        let in_lpc = matches!(self.platform.lpc, LpcBus::Mapped { base } if bytes == 1 && holds(base, 0xd002_0000));
        assert!(
            in_xscom || in_lpc,
            "{address:#x}, {bytes} bytes, is nobody's"
        );
    }
}

fn remember(register: &mut Answer, value: u64) {
    if let Answer::Memory(old) = register {
        *old = value;
    }
}

impl Hardware for Chaos<'_> {
    fn pir(&self) -> Pir {
        self.pir
    }
    fn tfmr(&mut self) -> Tfmr {
        self.count();
        Tfmr::from_bits_retain(self.answer(self.tfmr))
    }
    fn set_tfmr(&mut self, value: Tfmr) {
        self.count();
        remember(&mut self.tfmr, value.bits());
    }
    fn hmer(&mut self) -> Hmer {
        self.count();
        Hmer::from_bits_retain(self.hmer)
    }
    fn and_hmer(&mut self, keep: u64) {
        self.count();
        self.hmer &= keep;
    }
    fn hmeer(&mut self) -> Hmer {
        Hmer::empty()
    }
    fn set_hmeer(&mut self, _: Hmer) {}
    fn hid0(&mut self) -> u64 {
        self.answer(Answer::Anything)
    }
    fn set_hid0(&mut self, _: u64) {}
    fn wake(&mut self, _: Pir) {}
    fn timebase(&mut self) -> u64 {
        self.count();
        self.answer(self.timebase)
    }
    fn set_timebase_lower(&mut self, value: u32) {
        remember(&mut self.timebase, value.into());
    }
    fn set_timebase_upper(&mut self, value: u32) {
        remember(&mut self.timebase, u64::from(value) << 32);
    }
    fn set_decrementer(&mut self, _: u64) {}
    fn set_hypervisor_decrementer(&mut self, _: u64) {}
    fn purr(&mut self) -> u64 {
        self.answer(Answer::Anything)
    }
    fn spurr(&mut self) -> u64 {
        self.answer(Answer::Anything)
    }
    fn set_purr(&mut self, _: u64) {}
    fn set_spurr(&mut self, _: u64) {}
    fn load(&mut self, address: u64) -> u64 {
        self.count();
        self.check(address, 8);
        self.finish_scom();
        self.answer(self.scom)
    }
    fn store(&mut self, address: u64, value: u64) {
        self.count();
        self.check(address, 8);
        self.finish_scom();
        remember(&mut self.scom, value);
    }
    fn load_half_word(&mut self, address: u64) -> u16 {
        self.count();
        self.check(address, 2);
        self.answer(self.scom) as u16
    }
    fn load_word(&mut self, address: u64) -> u32 {
        self.count();
        self.check(address, 4);
        self.answer(self.scom) as u32
    }
    fn store_word(&mut self, address: u64, _: u32) {
        self.count();
        self.check(address, 4);
    }
    fn load_byte(&mut self, address: u64) -> u8 {
        self.count();
        self.check(address, 1);
        self.answer(self.scom) as u8
    }
    fn store_byte(&mut self, address: u64, _: u8) {
        self.count();
        self.check(address, 1);
    }
    fn relax(&mut self) {
        self.count();
    }
}
