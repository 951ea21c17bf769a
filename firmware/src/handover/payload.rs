//! The payload: found in memory, checked, and its entry.
//!
//! The loader copies a file to its place and says nothing about it. An ELF file runs where it
//! lies, as the reference firmware has it: its entry is the place in the file that the entry
//! address is loaded from. Anything else is code from its first byte on.

use core::fmt;

/// Bytes that tell whether anything was loaded.
const PROBE_BYTES: usize = 64;
/// An instruction.
const INSTRUCTION_BYTES: u64 = 4;

/// What was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Its kind.
    pub kind: Kind,
    /// Where it is entered, in bytes from its start.
    pub entry: u64,
}

/// The kind of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    BigEndianElf,
    LittleEndianElf,
    Raw,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BigEndianElf => "ELF, big-endian",
            Self::LittleEndianElf => "ELF, little-endian",
            Self::Raw => "raw code",
        })
    }
}

/// Why a payload cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// The bytes of something that has to be unpacked first.
    Packed(&'static str),
    /// An ELF file for something else.
    Elf {
        /// The field of its header.
        field: &'static str,
        /// What it should say.
        expected: &'static str,
    },
    /// An ELF file whose end is missing.
    Truncated,
    /// No segment holds the entry.
    Entry {
        /// The entry address.
        address: u64,
    },
    /// Raw, and no code: no instruction begins like this.
    NoCode {
        /// The first word.
        word: u32,
    },
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packed(what) => write!(f, "it is a file of {what}: unpack it first"),
            Self::Elf { field, expected } => {
                write!(f, "its ELF header is wrong: {field} is not {expected}")
            }
            Self::Truncated => f.write_str("it is an ELF file whose end is missing"),
            Self::Entry { address } => {
                write!(f, "no loaded segment holds its entry address {address:#x}")
            }
            Self::NoCode { word } => {
                write!(f, "it is no ELF file, and {word:#010x} is no instruction")
            }
        }
    }
}

/// Looks at the memory where the loader puts a payload; `None` if nothing was loaded.
///
/// # Errors
/// [`PayloadError`].
pub fn find(memory: &[u8]) -> Result<Option<Payload>, PayloadError> {
    let probe = memory.get(..PROBE_BYTES).unwrap_or(memory);
    if probe.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if memory.starts_with(b"\x7fELF") {
        return elf(memory).map(Some);
    }
    if let Some((_, what)) = PACKED.iter().find(|(magic, _)| memory.starts_with(magic)) {
        return Err(PayloadError::Packed(what));
    }
    let word = memory
        .first_chunk()
        .map_or(0, |word| u32::from_be_bytes(*word));
    // Primary opcode 0 is illegal for ever, and so is a word of ones.
    if word >> 26 == 0 || word == u32::MAX {
        return Err(PayloadError::NoCode { word });
    }
    Ok(Some(Payload {
        kind: Kind::Raw,
        entry: 0,
    }))
}

/// First bytes of what people pass by mistake.
const PACKED: &[(&[u8], &str)] = &[
    (&[0x1f, 0x8b], "gzip"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (b"BZh", "bzip2"),
    (b"070701", "cpio"),
    (b"!<arch>\n", "ar (a Debian package?)"),
    (&[0x27, 0x05, 0x19, 0x56], "U-Boot"),
    (b"MZ", "PE"),
    (&[0xd0, 0x0d, 0xfe, 0xed], "a device tree"),
];

/// The fields of an ELF file of either endianness.
#[derive(Clone, Copy)]
struct Fields<'m> {
    memory: &'m [u8],
    little_endian: bool,
}

impl Fields<'_> {
    fn number<const BYTES: usize>(self, at: u64) -> Result<u64, PayloadError> {
        let at = usize::try_from(at).map_err(|_| PayloadError::Truncated)?;
        let bytes = self.memory.get(at..).and_then(<[u8]>::first_chunk::<BYTES>);
        let bytes = bytes.ok_or(PayloadError::Truncated)?;
        let join = |value, byte: &u8| value << 8 | u64::from(*byte);
        Ok(if self.little_endian {
            bytes.iter().rev().fold(0, join)
        } else {
            bytes.iter().fold(0, join)
        })
    }

    fn half(self, at: u64) -> Result<u64, PayloadError> {
        self.number::<2>(at)
    }

    fn word(self, at: u64) -> Result<u64, PayloadError> {
        self.number::<4>(at)
    }

    fn double(self, at: u64) -> Result<u64, PayloadError> {
        self.number::<8>(at)
    }
}

fn elf(memory: &[u8]) -> Result<Payload, PayloadError> {
    const MACHINE_PPC64: u64 = 21;
    const EXECUTABLE: u64 = 2;
    const POSITION_INDEPENDENT: u64 = 3;
    let expect = |good: bool, field, expected| {
        good.then_some(())
            .ok_or(PayloadError::Elf { field, expected })
    };
    let at = |index: usize| memory.get(index).copied().unwrap_or(0);
    expect(at(4) == 2, "the class", "64 bits")?;
    expect(
        matches!(at(5), 1 | 2),
        "the data encoding",
        "one of the two",
    )?;
    let fields = Fields {
        memory,
        little_endian: at(5) == 1,
    };
    let kind = if fields.little_endian {
        Kind::LittleEndianElf
    } else {
        Kind::BigEndianElf
    };
    let file_type = fields.half(16)?;
    expect(
        matches!(file_type, EXECUTABLE | POSITION_INDEPENDENT),
        "the type",
        "that of a program",
    )?;
    expect(
        fields.half(18)? == MACHINE_PPC64,
        "the machine",
        "PowerPC64",
    )?;
    check_end(fields)?;
    let address = fields.double(24)?;
    let entry = offset_of_entry(fields, address)?;
    Ok(Payload { kind, entry })
}

/// The section headers come last in a file: the one with their names must be there.
fn check_end(fields: Fields<'_>) -> Result<(), PayloadError> {
    const STRING_TABLE: u64 = 3;
    let (headers, size) = (fields.double(40)?, fields.half(58)?);
    let (count, names) = (fields.half(60)?, fields.half(62)?);
    if count == 0 || names == 0 {
        return Ok(());
    }
    let at = (names * size)
        .checked_add(headers)
        .ok_or(PayloadError::Truncated)?;
    match fields.word(at.checked_add(4).ok_or(PayloadError::Truncated)?)? {
        STRING_TABLE => Ok(()),
        _ => Err(PayloadError::Truncated),
    }
}

/// Where in the file the instruction at an address is.
fn offset_of_entry(fields: Fields<'_>, address: u64) -> Result<u64, PayloadError> {
    const LOADED: u64 = 1;
    let missing = PayloadError::Entry { address };
    let (headers, size, count) = (fields.double(32)?, fields.half(54)?, fields.half(56)?);
    for index in 0..count {
        let at = headers
            .checked_add(index * size)
            .filter(|at| *at < 1 << 62)
            .ok_or(PayloadError::Truncated)?;
        if fields.word(at)? != LOADED {
            continue;
        }
        let (offset, start) = (fields.double(at + 8)?, fields.double(at + 16)?);
        let in_file = fields.double(at + 32)?;
        let end = offset.checked_add(in_file).ok_or(PayloadError::Truncated)?;
        if end > fields.memory.len() as u64 {
            return Err(PayloadError::Truncated);
        }
        if address >= start && address - start < in_file {
            let entry = offset + (address - start);
            return entry
                .is_multiple_of(INSTRUCTION_BYTES)
                .then_some(entry)
                .ok_or(missing);
        }
    }
    Err(missing)
}
