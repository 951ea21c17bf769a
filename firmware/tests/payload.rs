//! The payload: what is started, and what ends with a reason instead of a hang.

use opaline_firmware::handover::payload::{Kind, Payload, PayloadError, find};
use proptest::prelude::*;

/// Fields of an ELF header: place and bytes, in the order of the file.
#[derive(Clone, Copy)]
struct Elf {
    little_endian: bool,
    class: u8,
    machine: u64,
    file_type: u64,
    entry: u64,
    address: u64,
    file_bytes: u64,
}

const GOOD: Elf = Elf {
    little_endian: true,
    class: 2,
    machine: 21,
    file_type: 2,
    entry: 0xc000_0000_0000_0010,
    address: 0xc000_0000_0000_0000,
    file_bytes: 0x800,
};

/// Where the loaded segment lies in the file, and where the section headers are.
const SEGMENT: u64 = 0x1000;
const SECTIONS: u64 = 0x2000;

impl Elf {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; 0x3000];
        bytes[..6].copy_from_slice(b"\x7fELF\0\0");
        bytes[4] = self.class;
        bytes[5] = if self.little_endian { 1 } else { 2 };
        let mut put = |at: u64, size: usize, value: u64| {
            let mut field = value.to_be_bytes()[8 - size..].to_vec();
            if self.little_endian {
                field.reverse();
            }
            bytes[at as usize..at as usize + size].copy_from_slice(&field);
        };
        put(16, 2, self.file_type);
        put(18, 2, self.machine);
        put(24, 8, self.entry);
        put(32, 8, 64);
        put(40, 8, SECTIONS);
        put(54, 2, 56);
        put(56, 2, 2);
        put(58, 2, 64);
        put(60, 2, 3);
        put(62, 2, 2);
        // A note first, then what is loaded.
        put(64, 4, 4);
        put(120, 4, 1);
        put(128, 8, SEGMENT);
        put(136, 8, self.address);
        put(152, 8, self.file_bytes);
        put(160, 8, self.file_bytes.wrapping_mul(2));
        // The names of the sections: a string table.
        put(SECTIONS + 2 * 64 + 4, 4, 3);
        bytes
    }
}

fn refused(elf: Elf) -> PayloadError {
    find(&elf.bytes()).unwrap_err()
}

#[test]
fn elf_files_of_both_endiannesses_run_where_they_lie() {
    for (little_endian, kind) in [(true, Kind::LittleEndianElf), (false, Kind::BigEndianElf)] {
        for file_type in [2, 3] {
            let elf = Elf {
                little_endian,
                file_type,
                ..GOOD
            };
            let found = find(&elf.bytes()).unwrap();
            assert_eq!(
                found,
                Some(Payload {
                    kind,
                    entry: SEGMENT + 0x10
                })
            );
        }
    }
}

#[test]
fn nothing_loaded_is_no_payload() {
    assert_eq!(find(&[0; 4096]), Ok(None));
    assert_eq!(find(&[]), Ok(None));
}

#[test]
fn raw_code_begins_at_its_first_byte() {
    // A branch; and a little-endian kernel, which begins with an instruction that both read.
    for word in [0x4800_0100_u32, 0x0800_0048] {
        let mut memory = word.to_be_bytes().to_vec();
        memory.resize(100, 0);
        let found = find(&memory).unwrap();
        assert_eq!(
            found,
            Some(Payload {
                kind: Kind::Raw,
                entry: 0
            })
        );
    }
    for word in [0xffff_ffff_u32, 0x0000_0001, 0x03ff_ffff] {
        let mut memory = word.to_be_bytes().to_vec();
        memory.resize(100, 1);
        assert_eq!(find(&memory), Err(PayloadError::NoCode { word }));
    }
}

#[test]
fn broken_files_have_a_reason() {
    let fields = [
        Elf { class: 1, ..GOOD },
        Elf {
            machine: 62,
            ..GOOD
        },
        Elf {
            machine: 20,
            ..GOOD
        },
        Elf {
            file_type: 1,
            ..GOOD
        },
        Elf {
            file_type: 4,
            ..GOOD
        },
    ];
    for elf in fields {
        assert!(
            matches!(refused(elf), PayloadError::Elf { .. }),
            "{}",
            refused(elf)
        );
    }
    let mut nonsense = GOOD.bytes();
    nonsense[5] = 3;
    assert!(matches!(find(&nonsense), Err(PayloadError::Elf { .. })));
    for entry in [
        GOOD.address - 4,
        GOOD.address + GOOD.file_bytes,
        GOOD.address + 2,
        0,
        u64::MAX,
    ] {
        let elf = Elf { entry, ..GOOD };
        assert_eq!(refused(elf), PayloadError::Entry { address: entry });
    }
    for file_bytes in [0x8000, u64::MAX, u64::MAX - SEGMENT] {
        let elf = Elf { file_bytes, ..GOOD };
        assert_eq!(refused(elf), PayloadError::Truncated);
    }
}

#[test]
fn a_file_that_was_cut_off_is_not_started() {
    let whole = GOOD.bytes();
    for length in (5..SECTIONS as usize + 2 * 64).step_by(97) {
        // What was behind its end in memory is zero, or the memory ends there.
        let mut cut = whole.clone();
        cut[length..].fill(0);
        assert!(find(&cut).is_err(), "{length} bytes and zeros");
        assert!(find(&whole[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn what_must_be_unpacked_says_so() {
    let packed: [(&[u8], &str); 5] = [
        (&[0x1f, 0x8b, 8, 0], "gzip"),
        (b"\xfd7zXZ\0\0", "xz"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
        (b"070701", "cpio"),
        (b"!<arch>\ndebian-binary", "Debian package"),
    ];
    for (start, what) in packed {
        let mut memory = start.to_vec();
        memory.resize(200, 7);
        let error = find(&memory).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

proptest! {
    /// Whatever is in the header: an answer, and an entry within what was read.
    #[test]
    fn nothing_panics(changes in prop::collection::vec((0_usize..256, any::<u8>()), 0..12),
                      length in 0_usize..0x3000) {
        let mut bytes = GOOD.bytes();
        for (at, value) in changes {
            bytes[at] = value;
        }
        for bytes in [&bytes[..], &bytes[..length]] {
            if let Ok(Some(payload)) = find(bytes) {
                prop_assert!(payload.entry < bytes.len() as u64 || payload.kind == Kind::Raw);
                prop_assert!(payload.entry.is_multiple_of(4));
            }
        }
    }
}
