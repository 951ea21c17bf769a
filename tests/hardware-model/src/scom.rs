//! The XSCOM window: addresses, the mailbox in HMER, and the registers behind.

use crate::chip_units::Addresses;
use crate::configuration::{Configuration, Generation};
use crate::model::Model;
use crate::scom_map::core_register;
use crate::tod_registers::tod_register;
use crate::trace::Register;
use crate::xscom_fault::XscomAnswer;
use power_registers::Hmer;

/// The answer that an access of a thread still waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox {
    done_at: u64,
    status: u8,
    done_seen: bool,
    /// It was made to come late: software may have given it up.
    late: bool,
}

/// The engine is busy.
const STATUS_BUSY: u8 = 1;
/// The core is not there, or not as a whole.
pub(crate) const STATUS_PARTIAL_GOOD: u8 = 3;
/// The address does not exist.
pub(crate) const STATUS_INVALID_ADDRESS: u8 = 4;

/// Chip and SCOM address of a real address, if it is in a window.
fn decode(configuration: &Configuration, address: u64) -> Option<(usize, u32)> {
    let base = configuration.xscom_base(0);
    let stride = configuration.xscom_base(1) - base;
    let from_base = address.checked_sub(base)?;
    let (chip, offset) = ((from_base / stride) as usize, from_base % stride);
    if chip >= configuration.chips || offset >= configuration.xscom_size() {
        return None;
    }
    let scom = match configuration.generation {
        Generation::Power8 => (offset >> 4 & !0xf) | (offset >> 3 & 0xf),
        Generation::Power9 | Generation::Power10 => offset >> 3,
    };
    Some((chip, u32::try_from(scom).ok()?))
}

impl Model {
    /// One access through the window; a store when `value` is given.
    pub(crate) fn xscom(&mut self, thread: usize, address: u64, value: Option<u64>) -> u64 {
        let Some((chip, scom)) = decode(&self.configuration, address) else {
            self.violation(thread, "an access outside every XSCOM window", address);
            return u64::MAX;
        };
        self.watch_protocol(thread, address);
        let answer = self.injected_answer(thread, chip, scom, value.is_some());
        let status = match answer {
            Some(XscomAnswer::NeverDone) => {
                self.record_scom(thread, chip, scom, value, u64::MAX);
                return u64::MAX;
            }
            Some(XscomAnswer::Status(status)) => Err(status),
            Some(XscomAnswer::Lie(lie)) => Ok(lie),
            Some(XscomAnswer::Late(_)) | None => match value {
                None => self.scom_read(chip, scom),
                Some(value) => self.scom_write(thread, chip, scom, value).map(|()| value),
            },
        };
        let mut done_at = self.now + self.configuration.costs.xscom_latency;
        let late = matches!(answer, Some(XscomAnswer::Late(_)));
        if let Some(XscomAnswer::Late(ticks)) = answer {
            done_at = done_at.saturating_add(ticks);
        }
        let (data, status) = match status {
            Ok(data) => (data, 0),
            Err(status) => (u64::MAX, status),
        };
        self.record_scom(thread, chip, scom, value, data);
        let mailbox = Mailbox {
            done_at,
            status,
            done_seen: false,
            late,
        };
        if self.threads[thread].mailbox.replace(mailbox).is_none() {
            self.in_flight += 1;
        }
        data
    }

    /// The rules of the XSCOM protocol that concern the beginning of an access.
    fn watch_protocol(&mut self, thread: usize, address: u64) {
        if self.in_flight > 0 {
            let mut mailboxes = self.threads.iter().filter_map(|other| other.mailbox);
            if mailboxes.any(|mailbox| !mailbox.late) {
                self.violation(thread, "two XSCOM accesses in flight", address);
            }
        }
        if self.threads[thread].hmer & Hmer::XSCOM_MAILBOX.bits() != 0 {
            let rule = "an XSCOM access with the HMER mailbox not cleared";
            self.violation(thread, rule, address);
        }
        if address & 7 != 0 {
            self.violation(thread, "an XSCOM address that is not aligned", address);
        }
    }

    fn record_scom(
        &mut self,
        thread: usize,
        chip: usize,
        address: u32,
        written: Option<u64>,
        read: u64,
    ) {
        match written {
            Some(value) => self.record(thread, Register::ScomWrite { chip, address }, value),
            None => self.record(thread, Register::ScomRead { chip, address }, read),
        }
    }

    /// The answer that was asked for; every failure that this access is one of counts it.
    fn injected_answer(
        &mut self,
        thread: usize,
        chip: usize,
        scom: u32,
        write: bool,
    ) -> Option<XscomAnswer> {
        let mut answer = None;
        let concerned = self
            .xscom_faults
            .iter_mut()
            .filter(|fault| fault.count > 0 && fault.concerns(thread, chip, scom, write));
        for fault in concerned {
            if fault.after > 0 {
                fault.after -= 1;
            } else if answer.is_none() {
                fault.count -= 1;
                answer = Some(fault.answer);
            }
        }
        answer
    }

    /// HMER with what the mailbox brings: FAIL and status one read after DONE.
    pub(crate) fn read_hmer(&mut self, thread: usize) -> u64 {
        let now = self.now;
        let own = &mut self.threads[thread];
        own.unread = 0;
        if let Some(mailbox) = &mut own.mailbox {
            if mailbox.done_seen {
                own.hmer |= Hmer::XSCOM_FAIL.bits() | u64::from(mailbox.status & 7) << 40;
                own.mailbox = None;
            } else if now >= mailbox.done_at {
                own.hmer |= Hmer::XSCOM_DONE.bits();
                mailbox.done_seen = true;
                if mailbox.status == 0 {
                    own.mailbox = None;
                }
            }
            if own.mailbox.is_none() {
                self.in_flight -= 1;
            }
        }
        own.hmer
    }

    fn scom_read(&mut self, chip: usize, address: u32) -> Result<u64, u8> {
        let addresses = Addresses::of(self.configuration.generation);
        if addresses.engine.contains(&address) {
            return Ok(0);
        }
        if self.units[chip].blocked {
            return Err(STATUS_BUSY);
        }
        if let Some(register) = tod_register(address) {
            let value = self.tod_read(chip, register)?;
            return Ok(self.garbled(chip, register, value));
        }
        if address == addresses.alert {
            return Ok(self.units[chip].alert);
        }
        if let Some(value) = self.units[chip].plain(address) {
            return Ok(value);
        }
        if let Some((core, register)) = core_register(&self.configuration, address) {
            return self.core_scom_read(chip, core, register);
        }
        self.units[chip]
            .peek_fir(address)
            .ok_or(STATUS_INVALID_ADDRESS)
    }

    fn scom_write(
        &mut self,
        thread: usize,
        chip: usize,
        address: u32,
        value: u64,
    ) -> Result<(), u8> {
        let addresses = Addresses::of(self.configuration.generation);
        if let Some(step) = addresses.engine.iter().position(|known| *known == address) {
            self.reset_engine(chip, step);
            return Ok(());
        }
        if self.units[chip].blocked {
            return Err(STATUS_BUSY);
        }
        if let Some(register) = tod_register(address) {
            return self.tod_write(thread, chip, register, value);
        }
        if address == addresses.alert {
            self.units[chip].alert &= value;
            return Ok(());
        }
        if self.units[chip].set_plain(address, value).is_some() {
            return Ok(());
        }
        if let Some((core, register)) = core_register(&self.configuration, address) {
            return self.core_scom_write(chip, core, register, value);
        }
        let (fir, offset) = self.units[chip]
            .fir(address)
            .ok_or(STATUS_INVALID_ADDRESS)?;
        fir.write(offset, value)
            .map(|_| ())
            .ok_or(STATUS_INVALID_ADDRESS)
    }

    /// Receive status (of any chip: it is the local one's), log and error of the target chip.
    fn reset_engine(&mut self, chip: usize, step: usize) {
        for (index, unit) in self.units.iter_mut().enumerate() {
            if step == 0 || index == chip {
                unit.reset_steps |= 1 << step;
            }
            if unit.reset_steps == 7 {
                unit.blocked = false;
                unit.reset_steps = 0;
            }
        }
    }

    /// Gives a SCOM register a value without an access and without what an access would bring
    /// about. One that the model does not have becomes plain storage.
    pub fn provide_scom(&mut self, chip: usize, address: u32, value: u64) {
        let cores = self.configuration.cores_per_chip;
        if address == Addresses::of(self.configuration.generation).alert {
            self.units[chip].alert = value;
        } else if let Some((core, register)) = core_register(&self.configuration, address)
            && let crate::scom_map::CoreRegister::Fir(offset) = register
            && core < cores
        {
            let fir = &mut self.core_scoms[chip * cores + core].fir;
            let _ = fir.write(offset, value);
        } else if let Some((fir, offset)) = self.units[chip].fir(address) {
            let _ = fir.write(offset, value);
        } else {
            self.units[chip].provide(address, value);
        }
    }

    /// A SCOM register as it stands, without an access: ChipTOD, alert, FIRs and provided ones.
    #[must_use]
    pub fn peek_scom(&self, chip: usize, address: u32) -> Option<u64> {
        if let Some(register) = tod_register(address) {
            return self.tod_read(chip, register).ok();
        }
        if address == Addresses::of(self.configuration.generation).alert {
            return Some(self.units[chip].alert);
        }
        let cores = self.configuration.cores_per_chip;
        if let Some((core, crate::scom_map::CoreRegister::Fir(offset))) =
            core_register(&self.configuration, address)
            && core < cores
        {
            return self.core_scoms[chip * cores + core].fir.read(offset);
        }
        self.units[chip]
            .plain(address)
            .or_else(|| self.units[chip].peek_fir(address))
    }
}
