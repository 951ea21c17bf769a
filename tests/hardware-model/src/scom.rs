//! The XSCOM window: addresses, the mailbox in HMER, and the registers behind.

use crate::configuration::{Configuration, Generation};
use crate::machine::State;
use crate::tod_registers::tod_register;
use crate::trace::Register;
use crate::xscom_fault::XscomAnswer;
use power_registers::{Hmer, ibm};

/// The answer that an access of a thread still waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox {
    done_at: u64,
    status: u8,
    done_seen: bool,
}

/// The address does not exist.
pub(crate) const STATUS_INVALID_ADDRESS: u8 = 4;
/// POWER8 engine: receive status, log, error.
const ENGINE_POWER8: [u32; 3] = [0x0202_000f, 0x0202_0007, 0x0202_0009];
/// The same of POWER9 and POWER10.
const ENGINE: [u32; 3] = [0x0009_0018, 0x0009_0012, 0x0009_0013];
const ALERT_POWER8: u32 = 0x0202_0011;
const ALERT: u32 = 0x0009_0022;
const SPRC: u32 = 0x10a80;
const SPRD: u32 = 0x10a81;

/// Chip and SCOM address of a real address, if it is in a window.
pub(crate) fn decode(configuration: &Configuration, address: u64) -> Option<(usize, u32)> {
    (0..configuration.chips).find_map(|chip| {
        let offset = address.checked_sub(configuration.xscom_base(chip))?;
        if offset >= configuration.xscom_size() {
            return None;
        }
        let scom = match configuration.generation {
            Generation::Power8 => (offset >> 4 & !0xf) | (offset >> 3 & 0xf),
            Generation::Power9 | Generation::Power10 => offset >> 3,
        };
        Some((chip, u32::try_from(scom).ok()?))
    })
}

impl State {
    /// One access through the window; a store when `value` is given.
    pub(crate) fn xscom(&mut self, thread: usize, address: u64, value: Option<u64>) -> u64 {
        let Some((chip, scom)) = decode(&self.configuration, address) else {
            self.violation(thread, "an access outside every XSCOM window", address);
            return u64::MAX;
        };
        if self.threads.iter().any(|other| other.mailbox.is_some()) {
            self.violation(thread, "two XSCOM accesses in flight", address);
        }
        if self.threads[thread].hmer & Hmer::XSCOM_MAILBOX.bits() != 0 {
            self.violation(
                thread,
                "an XSCOM access with the HMER mailbox not cleared",
                address,
            );
        }
        if address & 7 != 0 {
            self.violation(thread, "an XSCOM address that is not aligned", address);
        }
        let status = match self.injected_answer(thread, chip, scom, value.is_some()) {
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
        let done_at = self.now + self.configuration.costs.xscom_latency;
        let (data, status) = match status {
            Ok(data) => (data, 0),
            Err(status) => (u64::MAX, status),
        };
        self.record_scom(thread, chip, scom, value, data);
        self.threads[thread].mailbox = Some(Mailbox {
            done_at,
            status,
            done_seen: false,
        });
        data
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

    fn injected_answer(
        &mut self,
        thread: usize,
        chip: usize,
        scom: u32,
        write: bool,
    ) -> Option<XscomAnswer> {
        let fault = self
            .xscom_faults
            .iter_mut()
            .find(|fault| fault.count > 0 && fault.concerns(thread, chip, scom, write))?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.count -= 1;
        Some(fault.answer)
    }

    /// HMER with what the mailbox brings: FAIL and status one read after DONE.
    pub(crate) fn read_hmer(&mut self, thread: usize) -> u64 {
        let now = self.now;
        let own = &mut self.threads[thread];
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
        }
        own.hmer
    }

    fn scom_read(&mut self, chip: usize, address: u32) -> Result<u64, u8> {
        if let Some(register) = tod_register(address) {
            return self.tod_read(chip, register);
        }
        if let Some((core, register)) = self.power9_core_register(chip, address) {
            return match register {
                SPRC => Ok(self.cores[core].sprc),
                SPRD => {
                    let select = self.cores[core].sprc >> 3 & 0x7f;
                    let number = (select as usize).wrapping_sub(8);
                    if number >= self.configuration.threads_per_core {
                        return Ok(0);
                    }
                    if self.cores[core].corrupt {
                        return Ok(self.random.word() | ibm(60));
                    }
                    let view = self.tod_view(chip);
                    Ok(self.cores[core].true_tfmr(number, self.now, view))
                }
                _ => Err(STATUS_INVALID_ADDRESS),
            };
        }
        if let Some(value) = self.scoms.get(&(chip, address)) {
            return Ok(*value);
        }
        if address == self.alert() {
            Ok(0)
        } else {
            Err(STATUS_INVALID_ADDRESS)
        }
    }

    fn scom_write(
        &mut self,
        thread: usize,
        chip: usize,
        address: u32,
        value: u64,
    ) -> Result<(), u8> {
        if let Some(register) = tod_register(address) {
            return self.tod_write(thread, chip, register, value);
        }
        if let Some((core, SPRC)) = self.power9_core_register(chip, address) {
            self.cores[core].sprc = value;
            return Ok(());
        }
        let engine = if self.configuration.generation == Generation::Power8 {
            ENGINE_POWER8
        } else {
            ENGINE
        };
        if engine.contains(&address) {
            return Ok(());
        }
        if address == self.alert() {
            let alert = self.scoms.entry((chip, address)).or_insert(0);
            *alert &= value;
            return Ok(());
        }
        match self.scoms.get_mut(&(chip, address)) {
            Some(cell) => *cell = value,
            None => return Err(STATUS_INVALID_ADDRESS),
        }
        Ok(())
    }

    pub(crate) fn peek_scom(&self, chip: usize, address: u32) -> Option<u64> {
        match tod_register(address) {
            Some(register) => self.tod_read(chip, register).ok(),
            None => self.scoms.get(&(chip, address)).copied(),
        }
    }

    fn alert(&self) -> u32 {
        if self.configuration.generation == Generation::Power8 {
            ALERT_POWER8
        } else {
            ALERT
        }
    }

    /// Core and register of a POWER9 core SCOM address.
    fn power9_core_register(&self, chip: usize, address: u32) -> Option<(usize, u32)> {
        if self.configuration.generation != Generation::Power9 {
            return None;
        }
        let core = (address >> 24).checked_sub(0x20)? as usize;
        (core < self.configuration.cores_per_chip).then_some((
            chip * self.configuration.cores_per_chip + core,
            address & 0xff_ffff,
        ))
    }
}
