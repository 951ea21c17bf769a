//! Memory.

use crate::client::malformed;
use crate::packet::{from_hex, to_hex};
use crate::{Client, Error};

/// Bytes of one memory access: QEMU refuses packets above 4 KiB, two digits for each byte.
const MEMORY_CHUNK: usize = 1024;

impl Client {
    /// Whether addresses of memory accesses are physical from now on.
    ///
    /// # Errors
    /// The stub is not QEMU's.
    pub fn set_physical_memory(&mut self, physical: bool) -> Result<(), Error> {
        self.order(&format!("Qqemu.PhyMemMode:{}", u8::from(physical)))
    }

    /// Reads memory.
    ///
    /// # Errors
    /// There is none at that address.
    pub fn read_memory(&mut self, address: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let chunk = (length - bytes.len()).min(MEMORY_CHUNK);
            let command = format!("m{:x},{chunk:x}", address.wrapping_add(bytes.len() as u64));
            let answer = self.query(&command)?;
            match from_hex(&answer) {
                Some(piece) if piece.len() == chunk => bytes.extend(piece),
                _ => return Err(malformed(&command, &answer)),
            }
        }
        Ok(bytes)
    }

    /// Writes memory.
    ///
    /// # Errors
    /// There is none at that address.
    pub fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        for (index, piece) in bytes.chunks(MEMORY_CHUNK).enumerate() {
            let at = address.wrapping_add((index * MEMORY_CHUNK) as u64);
            self.order(&format!("M{at:x},{:x}:{}", piece.len(), to_hex(piece)))?;
        }
        Ok(())
    }

    /// Reads big-endian doublewords.
    ///
    /// # Errors
    /// As [`Self::read_memory`].
    pub fn read_words(&mut self, address: u64, count: usize) -> Result<Vec<u64>, Error> {
        let bytes = self.read_memory(address, 8 * count)?;
        Ok(bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_be_bytes(*word))
            .collect())
    }

    /// Writes a big-endian doubleword.
    ///
    /// # Errors
    /// As [`Self::write_memory`].
    pub fn write_word(&mut self, address: u64, value: u64) -> Result<(), Error> {
        self.write_memory(address, &value.to_be_bytes())
    }
}
