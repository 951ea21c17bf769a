//! Register access by name.

use crate::client::malformed;
use crate::packet::{from_hex, to_hex};
use crate::target::Register;
use crate::{Client, Error, ThreadId};

/// Byte order of register values on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Big,
    Little,
}

impl ByteOrder {
    /// From the eight bytes of MSR as they came. `MSR[LE]` is the last bit: if the first byte holds
    /// it, the value came with its least byte first. In the other order the first byte ends with
    /// MSR bit 7, which is reserved and 0.
    fn of_msr(bytes: &[u8]) -> Self {
        if bytes.first().is_some_and(|first| first & 1 == 1) {
            Self::Little
        } else {
            Self::Big
        }
    }

    fn decode(self, bytes: &[u8]) -> u64 {
        let shift = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match self {
            Self::Big => bytes.iter().fold(0, shift),
            Self::Little => bytes.iter().rev().fold(0, shift),
        }
    }

    fn encode(self, value: u64, length: usize) -> Vec<u8> {
        let mut bytes = value.to_be_bytes()[8 - length..].to_vec();
        if self == Self::Little {
            bytes.reverse();
        }
        bytes
    }
}

impl Client {
    fn lookup(&self, name: &str) -> Result<Register, Error> {
        let register = self
            .target
            .register(name)
            .ok_or_else(|| Error::NoSuchRegister(name.to_owned()))?;
        if register.bits > 64 {
            return Err(Error::RegisterTooWide {
                name: name.to_owned(),
                bits: register.bits,
            });
        }
        Ok(register)
    }

    /// The raw bytes of a register of the selected thread.
    fn read_raw(&mut self, register: Register) -> Result<Vec<u8>, Error> {
        let command = format!("p{:x}", register.number);
        let answer = self.query(&command)?;
        match from_hex(&answer) {
            Some(bytes) if bytes.len() == register.bits as usize / 8 => Ok(bytes),
            _ => Err(malformed(&command, &answer)),
        }
    }

    /// The byte order of a thread's registers, which is selected by this.
    fn byte_order(&mut self, thread: ThreadId) -> Result<ByteOrder, Error> {
        self.select(thread)?;
        if let Some(order) = self.orders.get(&thread) {
            return Ok(*order);
        }
        let msr = self.lookup("msr")?;
        let order = ByteOrder::of_msr(&self.read_raw(msr)?);
        self.orders.insert(thread, order);
        Ok(order)
    }

    /// Reads a register of a thread.
    ///
    /// # Errors
    /// There is no such register or thread.
    pub fn read_register(&mut self, thread: ThreadId, name: &str) -> Result<u64, Error> {
        let register = self.lookup(name)?;
        let order = self.byte_order(thread)?;
        Ok(order.decode(&self.read_raw(register)?))
    }

    /// Writes a register of a thread. QEMU accepts writes of running counters (TB, DEC, VTB) and
    /// ignores them.
    ///
    /// # Errors
    /// There is no such register or thread.
    pub fn write_register(
        &mut self,
        thread: ThreadId,
        name: &str,
        value: u64,
    ) -> Result<(), Error> {
        let register = self.lookup(name)?;
        let order = self.byte_order(thread)?;
        let bytes = order.encode(value, register.bits as usize / 8);
        self.order(&format!("P{:x}={}", register.number, to_hex(&bytes)))?;
        if name == "msr" {
            self.orders.remove(&thread);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_follows_msr() {
        assert_eq!(
            ByteOrder::of_msr(&[0x90, 0, 0, 0, 0, 0, 0x10, 1]),
            ByteOrder::Big
        );
        assert_eq!(
            ByteOrder::of_msr(&[1, 0x10, 0, 0, 0, 0, 0, 0x90]),
            ByteOrder::Little
        );
        for order in [ByteOrder::Big, ByteOrder::Little] {
            assert_eq!(order.decode(&order.encode(0x1234_5678, 4)), 0x1234_5678);
            assert_eq!(order.decode(&order.encode(u64::MAX - 1, 8)), u64::MAX - 1);
        }
        assert_eq!(ByteOrder::Little.encode(0x1234, 2), [0x34, 0x12]);
    }
}
