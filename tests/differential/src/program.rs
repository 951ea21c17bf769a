//! The bare program that performs a sequence in QEMU with real instructions.
//!
//! All threads start at 0x10 and look at one word: the number of the access whose turn it is. The
//! thread that the access names performs it, stores what it read (or wrote) and passes the turn on.
//! So accesses happen in the order of the sequence, whatever the threads' speed.

use crate::access::{Access, Operation, scom_address};
use crate::instructions::{
    BCTR, PRIORITY_LOW, PRIORITY_MEDIUM, SYNC, addi, andi, b, bne, cmpd, ld, ldcix, lis, mulli,
    sldi, srdi, std, stdcix,
};
use fault_injector::instructions::{add, li, mfspr, mtctr, mtspr};
use hardware_model::{Configuration, Generation};
use power_registers::Spr;
use std::collections::BTreeMap;

/// Where all threads start.
const ENTRY: usize = 0x10;
/// The accesses: four doublewords each.
const TABLE: usize = 0x0010_0000;
/// QEMU puts the device tree here: the image ends before it.
const IMAGE_LIMIT: usize = 0x0100_0000;
/// One doubleword of result for each access.
pub(crate) const RESULTS: u64 = 0x2000_0000;
/// The turn, then the word that is not 0 when all is done.
pub(crate) const TURN: u64 = 0x3000_0000;
/// The word that is not 0 when all is done.
pub(crate) const DONE: u64 = TURN + 8;

/// Most accesses of one program.
pub const MOST_ACCESSES: usize = (IMAGE_LIMIT - TABLE) / 32 - 1;

const INDEX: u32 = 3;
const VALUE: u32 = 4;
const NUMBER: u32 = 5;
const SCRATCH: u32 = 6;
const STUB: u32 = 7;
const ADDRESS: u32 = 8;
const TABLE_BASE: u32 = 10;
const RESULT_BASE: u32 = 11;
const TURN_BASE: u32 = 12;

/// What a stub does with [`VALUE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    ReadSpr(u16),
    WriteSpr(u16),
    Load,
    Store,
    Finish,
}

#[derive(Default)]
struct Code {
    words: Vec<u32>,
    stubs: BTreeMap<Kind, u64>,
}

impl Code {
    const fn here(&self) -> usize {
        ENTRY + self.words.len() * 4
    }

    fn back_to(&mut self, target: usize) {
        let distance = target as i64 - self.here() as i64;
        self.words.push(b(distance as i32));
    }
}

/// The flat image for `-bios`.
///
/// # Panics
/// If the sequence is longer than [`MOST_ACCESSES`].
#[must_use]
pub fn image(configuration: &Configuration, sequence: &[Access]) -> Vec<u8> {
    assert!(sequence.len() <= MOST_ACCESSES, "the sequence is too long");
    let mut code = Code::default();
    let (chip_shift, number_mask) = match configuration.generation {
        Generation::Power8 => (7, 7),
        Generation::Power9 | Generation::Power10 => (8, 3),
    };
    code.words.extend([
        mfspr(INDEX, Spr::Pir),
        srdi(SCRATCH, INDEX, chip_shift),
        mulli(SCRATCH, SCRATCH, configuration.threads_per_core as u16),
        andi(INDEX, INDEX, number_mask),
        add(INDEX, INDEX, SCRATCH),
        lis(TABLE_BASE, (TABLE >> 16) as u16),
        lis(RESULT_BASE, (RESULTS >> 16) as u16),
        lis(TURN_BASE, (TURN >> 16) as u16),
    ]);
    let top = code.here();
    code.words.extend([
        ld(NUMBER, 0, TURN_BASE),
        sldi(SCRATCH, NUMBER, 5),
        add(SCRATCH, SCRATCH, TABLE_BASE),
        ld(STUB, 0, SCRATCH),
        cmpd(STUB, INDEX),
        // To the pause, over the rest of the way and the branch itself.
        bne(7 * 4),
        SYNC,
        ld(STUB, 8, SCRATCH),
        ld(ADDRESS, 16, SCRATCH),
        ld(VALUE, 24, SCRATCH),
        mtctr(STUB),
        BCTR,
        PRIORITY_LOW,
        PRIORITY_MEDIUM,
    ]);
    code.back_to(top);
    let done = code.here();
    code.words.extend([
        sldi(SCRATCH, NUMBER, 3),
        add(SCRATCH, SCRATCH, RESULT_BASE),
        std(VALUE, 0, SCRATCH),
        addi(NUMBER, NUMBER, 1),
        SYNC,
        std(NUMBER, 0, TURN_BASE),
    ]);
    code.back_to(top);

    let mut table = Vec::with_capacity((sequence.len() + 1) * 32);
    for access in sequence {
        let (kind, address, value) = match access.operation {
            Operation::ReadSpr(spr) => (Kind::ReadSpr(spr as u16), 0, 0),
            Operation::WriteSpr(spr, value) => (Kind::WriteSpr(spr as u16), 0, value),
            Operation::ReadScom { chip, address } => {
                (Kind::Load, scom_address(configuration, chip, address), 0)
            }
            Operation::WriteScom {
                chip,
                address,
                value,
            } => (
                Kind::Store,
                scom_address(configuration, chip, address),
                value,
            ),
        };
        let stub = stub(&mut code, kind, access.operation, done);
        for word in [access.thread as u64, stub, address, value] {
            table.extend(word.to_be_bytes());
        }
    }
    let finish = finish(&mut code);
    for word in [0, finish, 0, 0] {
        table.extend(word.to_be_bytes());
    }

    let mut image = vec![0; ENTRY];
    image.extend(code.words.iter().flat_map(|word| word.to_be_bytes()));
    assert!(image.len() <= TABLE, "the code runs into the table");
    image.resize(TABLE, 0);
    image.extend(table);
    image
}

/// Address of the code that performs accesses of this kind.
fn stub(code: &mut Code, kind: Kind, operation: Operation, done: usize) -> u64 {
    if let Some(stub) = code.stubs.get(&kind) {
        return *stub;
    }
    let stub = code.here() as u64;
    match operation {
        Operation::ReadSpr(spr) => code.words.push(mfspr(VALUE, spr)),
        Operation::WriteSpr(spr, _) => code.words.push(mtspr(spr, VALUE)),
        Operation::ReadScom { .. } => code.words.push(ldcix(VALUE, ADDRESS)),
        Operation::WriteScom { .. } => code.words.push(stdcix(VALUE, ADDRESS)),
    }
    code.back_to(done);
    code.stubs.insert(kind, stub);
    stub
}

/// The end: says so, and stays.
fn finish(code: &mut Code) -> u64 {
    let stub = code.here() as u64;
    code.words.extend([
        SYNC,
        li(VALUE, 1),
        std(VALUE, (DONE - TURN) as u16, TURN_BASE),
    ]);
    code.words.extend([PRIORITY_LOW, PRIORITY_MEDIUM]);
    let pause = code.here() - 8;
    code.back_to(pause);
    code.stubs.insert(Kind::Finish, stub);
    stub
}
