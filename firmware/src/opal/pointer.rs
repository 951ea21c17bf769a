//! Pointers that the OS passes: parsed once into buffers that may be used, or refused.
//!
//! The memory of the OS takes no numbers, only a [`RealAddress`], which nobody else can make: a call
//! that forgets to check a pointer does not compile. The caller is the most privileged software of the machine and could
//! write to the firmware anyway: this is for kernels with bugs and registers that an error
//! damaged, not for isolation.

use super::OsMemory;
use crate::platform::Platform;
use core::ops::Range;

/// Hardware ignores the top nibble of an address in real mode; the kernel's linear map has 0xc
/// there.
const TOP_NIBBLE: u64 = 0xf << 60;
/// The top nibble of the kernel's linear map.
const LINEAR_MAP: u64 = 0xc << 60;
/// Below are the exception vectors.
const VECTORS_END: u64 = 0x3000;

/// Why a pointer is refused. All of it is `OPAL_PARAMETER` for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerError {
    /// NULL, where the call does not allow it.
    Null,
    /// Neither a real address nor one in the kernel's linear map.
    NotReal,
    /// Not aligned as its type needs.
    Misaligned,
    /// The range wraps around the address space.
    Wraps,
    /// The range is not inside one range of memory.
    NotMemory,
    /// The range touches the exception vectors.
    Vectors,
    /// The range touches the firmware itself.
    Firmware,
}

/// What pointers are checked against.
#[derive(Clone, Copy, Debug)]
pub struct Checker<'a> {
    platform: &'a Platform,
    own: &'a Range<u64>,
}

impl<'a> Checker<'a> {
    /// Accepts what lies in the memory of `platform` and outside the firmware's `own`.
    #[must_use]
    pub const fn new(platform: &'a Platform, own: &'a Range<u64>) -> Self {
        Self { platform, own }
    }

    /// A buffer of `length` bytes. Nothing is there to be checked when `length` is 0.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn buffer(self, pointer: u64, length: u64) -> Result<OsBuffer, PointerError> {
        if length == 0 {
            return Ok(OsBuffer { real: 0, length: 0 });
        }
        if pointer == 0 {
            return Err(PointerError::Null);
        }
        if !matches!(pointer & TOP_NIBBLE, 0 | LINEAR_MAP) {
            return Err(PointerError::NotReal);
        }
        let start = pointer & !TOP_NIBBLE;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= !TOP_NIBBLE)
            .ok_or(PointerError::Wraps)?;
        let holds = |range: &&crate::platform::MemoryRange| {
            range.start <= start && end - range.start <= range.size
        };
        if !self.platform.memory.iter().any(|range| holds(&range)) {
            return Err(PointerError::NotMemory);
        }
        if start < VECTORS_END {
            return Err(PointerError::Vectors);
        }
        if start < self.own.end && self.own.start < end {
            return Err(PointerError::Firmware);
        }
        Ok(OsBuffer {
            real: start,
            length,
        })
    }

    /// A big-endian doubleword.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn word(self, pointer: u64) -> Result<OsWord, PointerError> {
        let buffer = self.buffer(pointer, 8)?;
        if buffer.real % 8 != 0 {
            return Err(PointerError::Misaligned);
        }
        Ok(OsWord(buffer))
    }

    /// A big-endian doubleword, or NULL.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn word_or_null(self, pointer: u64) -> Result<Option<OsWord>, PointerError> {
        if pointer == 0 {
            Ok(None)
        } else {
            self.word(pointer).map(Some)
        }
    }

    /// A big-endian word of 4 bytes.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn half_word(self, pointer: u64) -> Result<OsBuffer, PointerError> {
        let buffer = self.buffer(pointer, 4)?;
        if buffer.real % 4 != 0 {
            return Err(PointerError::Misaligned);
        }
        Ok(buffer)
    }

    /// Memory that hardware is going to write to: a real address, of `bytes` from there.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn device(self, address: u64, bytes: u64) -> Result<u64, PointerError> {
        if address & TOP_NIBBLE != 0 {
            return Err(PointerError::NotReal);
        }
        Ok(self.buffer(address, bytes)?.real)
    }

    /// Where a thread may enter the OS: a real address of an instruction. It may be 0 or in the
    /// vectors, which are the OS's by then.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn code(self, address: u64) -> Result<OsEntry, PointerError> {
        const INSTRUCTION: u64 = 4;
        if address & TOP_NIBBLE != 0 {
            return Err(PointerError::NotReal);
        }
        if !address.is_multiple_of(INSTRUCTION) {
            return Err(PointerError::Misaligned);
        }
        if self.own.contains(&address) {
            return Err(PointerError::Firmware);
        }
        let mut memory = self.platform.memory.iter();
        let is_memory =
            memory.any(|range| range.start <= address && address - range.start < range.size);
        if is_memory {
            Ok(OsEntry(address))
        } else {
            Err(PointerError::NotMemory)
        }
    }

    /// A buffer of `length` bytes that holds doublewords.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn words(self, pointer: u64, length: u64) -> Result<OsBuffer, PointerError> {
        let buffer = self.buffer(pointer, length)?;
        if buffer.real % 8 != 0 {
            return Err(PointerError::Misaligned);
        }
        Ok(buffer)
    }
}

/// A real address of the OS's memory, inside a range that was checked. Only this module makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealAddress(u64);

impl RealAddress {
    /// The number, for whoever is the memory.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Where a thread may enter the OS: an address that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OsEntry(u64);

impl OsEntry {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// One that a test knows to be good.
    #[cfg(test)]
    pub(crate) const fn known_good(address: u64) -> Self {
        Self(address)
    }
}

/// Memory of the OS that may be read and written.
#[derive(Debug, PartialEq, Eq)]
pub struct OsBuffer {
    real: u64,
    length: u64,
}

impl OsBuffer {
    /// Its bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Copies from `offset` on; returns how many bytes there were.
    pub fn read<M: OsMemory>(&self, memory: &mut M, offset: u64, into: &mut [u8]) -> usize {
        let count = self.count(offset, into.len());
        if count != 0 {
            memory.read(RealAddress(self.real + offset), &mut into[..count]);
        }
        count
    }

    /// Copies to `offset`; returns how many bytes there was room for.
    pub fn write<M: OsMemory>(&self, memory: &mut M, offset: u64, from: &[u8]) -> usize {
        let count = self.count(offset, from.len());
        if count != 0 {
            memory.write(RealAddress(self.real + offset), &from[..count]);
        }
        count
    }

    fn count(&self, offset: u64, wanted: usize) -> usize {
        let left = self.length.saturating_sub(offset);
        usize::try_from(left).map_or(wanted, |left| left.min(wanted))
    }
}

/// A big-endian doubleword of the OS.
#[derive(Debug, PartialEq, Eq)]
pub struct OsWord(OsBuffer);

impl OsWord {
    /// Its value.
    pub fn read<M: OsMemory>(&self, memory: &mut M) -> u64 {
        let mut bytes = [0; 8];
        self.0.read(memory, 0, &mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// Sets its value.
    pub fn write<M: OsMemory>(&self, memory: &mut M, value: u64) {
        self.0.write(memory, 0, &value.to_be_bytes());
    }
}
