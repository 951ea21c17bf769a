//! From the ELF file to the raw bytes that `-bios` loads at 0.

use anyhow::{Context as _, Result, bail, ensure};
use object::{
    BigEndian,
    elf::{EM_PPC64, FileHeader64, PT_LOAD},
    read::elf::{FileHeader as _, ProgramHeader as _},
};

/// More than this between two segments is a mistake of the linker script.
const LARGEST: u64 = 16 << 20;

/// The loadable segments, laid out by physical address.
pub(crate) fn flatten(elf: &[u8]) -> Result<Vec<u8>> {
    let header = FileHeader64::<BigEndian>::parse(elf).context("not a 64-bit ELF file")?;
    let endian = header.endian().context("not a big-endian ELF file")?;
    ensure!(
        header.e_machine(endian) == EM_PPC64,
        "not a PowerPC64 ELF file"
    );
    let mut raw = Vec::new();
    for segment in header.program_headers(endian, elf)? {
        if segment.p_type(endian) != PT_LOAD || segment.p_filesz(endian) == 0 {
            continue;
        }
        let start = segment.p_paddr(endian);
        let Ok(data) = segment.data(endian, elf) else {
            bail!("truncated segment")
        };
        let end = start
            .checked_add(data.len() as u64)
            .filter(|end| *end <= LARGEST);
        let end = end.with_context(|| format!("segment at {start:#x} lies beyond {LARGEST:#x}"))?;
        let (start, end) = (usize::try_from(start)?, usize::try_from(end)?);
        if raw.len() < end {
            raw.resize(end, 0);
        }
        raw[start..end].copy_from_slice(data);
    }
    ensure!(!raw.is_empty(), "the ELF file has nothing to load");
    Ok(raw)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A big-endian ELF file with these segments: physical address, bytes.
    pub(crate) fn elf(segments: &[(u64, &[u8])]) -> Vec<u8> {
        let mut file = vec![0; 64 + 56 * segments.len()];
        file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 2, 1]);
        file[16..18].copy_from_slice(&2u16.to_be_bytes());
        file[18..20].copy_from_slice(&21u16.to_be_bytes());
        file[20..24].copy_from_slice(&1u32.to_be_bytes());
        file[32..40].copy_from_slice(&64u64.to_be_bytes());
        file[52..54].copy_from_slice(&64u16.to_be_bytes());
        file[54..56].copy_from_slice(&56u16.to_be_bytes());
        file[56..58].copy_from_slice(&(segments.len() as u16).to_be_bytes());
        for (index, (physical, bytes)) in segments.iter().enumerate() {
            let at = 64 + 56 * index;
            let offset = file.len() as u64;
            let length = bytes.len() as u64;
            file[at..at + 4].copy_from_slice(&1u32.to_be_bytes());
            for (position, value) in [
                (8, offset),
                (16, 0x3000_0000 + physical),
                (24, *physical),
                (32, length),
                (40, length),
            ] {
                file[at + position..at + position + 8].copy_from_slice(&value.to_be_bytes());
            }
            file.extend_from_slice(bytes);
        }
        file
    }

    #[test]
    fn segments_are_laid_out_by_physical_address() {
        let raw = flatten(&elf(&[(8, &[5, 6]), (0, &[1, 2, 3])])).unwrap();
        assert_eq!(raw, [1, 2, 3, 0, 0, 0, 0, 0, 5, 6]);
    }

    #[test]
    fn wrong_files_are_refused() {
        assert!(flatten(b"hello").is_err());
        assert!(flatten(&elf(&[])).is_err());
        assert!(
            flatten(&elf(&[(0x3000_0000, &[1])]))
                .unwrap_err()
                .to_string()
                .contains("beyond")
        );
        let mut little = elf(&[(0, &[1])]);
        little[5] = 1;
        assert!(flatten(&little).is_err());
        let mut truncated = elf(&[(0, &[1, 2, 3])]);
        truncated.pop();
        assert!(flatten(&truncated).is_err());
    }
}
