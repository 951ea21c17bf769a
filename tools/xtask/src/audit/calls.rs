//! Who calls whom: decoded from branch instructions.

use super::program::{Function, Program};
use std::collections::BTreeSet;

/// What one function does that matters for the stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Functions that it branches to, as indices.
    pub(crate) direct: BTreeSet<usize>,
    /// Calls through a pointer.
    pub(crate) indirect: usize,
    /// Bytes of stack that its own code takes, as far as it can be read off.
    pub(crate) frame: u64,
    /// It moves the stack pointer by an amount in a register.
    pub(crate) dynamic_frame: bool,
    /// It goes over to another stack.
    pub(crate) changes_stack: bool,
}

/// Decodes all functions.
pub(crate) fn decode(program: &Program) -> Vec<Calls> {
    (0..program.functions.len())
        .map(|index| decode_one(program, index))
        .collect()
}

fn decode_one(program: &Program, index: usize) -> Calls {
    let function = &program.functions[index];
    let mut calls = Calls::default();
    let mut counter_source = 0;
    for (at, word) in function.code() {
        let target = branch_target(at, word).and_then(|target| program.at(target));
        if let Some(target) = target.filter(|target| *target != index) {
            calls.direct.insert(target);
        }
        match word {
            _ if word & 0xfc1f_ffff == 0x7c09_03a6 => counter_source = word >> 21 & 0x1f,
            // A call through a pointer has its target in r12 too, as the ABI demands; other jumps
            // without link are tables of the function itself.
            _ if is_counter_branch(word) && (word & 1 == 1 || counter_source == 12) => {
                calls.indirect += 1;
            }
            // stdu r1,-n(r1)
            _ if word & 0xffff_0003 == 0xf821_0001 => {
                calls.frame += ((word & 0xfffc) as i16 as i64 as u64).wrapping_neg();
            }
            // addi r1,r1,-n
            _ if word & 0xffff_8000 == 0x3821_8000 => {
                calls.frame += ((word & 0xffff) as i16 as i64 as u64).wrapping_neg();
            }
            // stdux r1,r1,rX
            _ if word & 0xffff_07ff == 0x7c21_016a => calls.dynamic_frame = true,
            _ if loads_stack_pointer(word) => calls.changes_stack = true,
            _ => {}
        }
    }
    if falls_through(function) && program.starting_at(end(function)) == Some(index + 1) {
        calls.direct.insert(index + 1);
    }
    calls
}

/// Whether r1 gets a value that does not come from r1.
fn loads_stack_pointer(word: u32) -> bool {
    let (first, second) = (word >> 21 & 0x1f, word >> 16 & 0x1f);
    match word >> 26 {
        // addi, addis, ld
        14 | 15 | 58 => first == 1 && second != 1,
        // ori
        24 => second == 1 && first != 1,
        31 => match word >> 1 & 0x3ff {
            // or (mr)
            444 => second == 1 && first != 1,
            // add, ldx
            266 | 21 => first == 1,
            _ => false,
        },
        _ => false,
    }
}

fn end(function: &Function) -> u64 {
    function.start + 4 * function.words.len() as u64
}

/// Target of `b`, `bl`, `bc`, `bcl` and their absolute forms.
fn branch_target(at: u64, word: u32) -> Option<u64> {
    let displacement = match word >> 26 {
        18 => i64::from((word << 6) as i32 >> 6 & !3),
        16 => i64::from((word & 0xfffc) as i16),
        _ => return None,
    };
    Some(if word & 2 == 0 {
        at.wrapping_add_signed(displacement)
    } else {
        displacement as u64
    })
}

/// `bcctr` and `bcctrl`.
fn is_counter_branch(word: u32) -> bool {
    word >> 26 == 19 && word >> 1 & 0x3ff == 528
}

/// Whether control can run past the end: the last instruction but padding does not end it.
fn falls_through(function: &Function) -> bool {
    let last = function
        .words
        .iter()
        .rev()
        .find(|word| !matches!(**word, 0 | 0x6000_0000));
    let Some(&last) = last else { return true };
    let always = last >> 21 & 0x14 == 0x14;
    let ends = match last >> 26 {
        18 => last & 1 == 0,
        // blr, bctr and conditional ones with "always"; rfid, hrfid.
        19 => {
            let extended = last >> 1 & 0x3ff;
            (matches!(extended, 16 | 528) && always && last & 1 == 0)
                || matches!(extended, 18 | 274)
        }
        // trap (tw 31,0,0) and Rust's abort.
        31 => last == 0x7fe0_0008,
        _ => last == 0x0000_0200,
    };
    // A call at the very end does not return: the compiler knows that the callee diverges.
    let diverging_call = last >> 26 == 18 && last & 1 == 1 || is_counter_branch(last);
    !ends && !diverging_call
}

/// Functions whose address is stored in data or formed in code: what a pointer may lead to.
///
/// Labels of assembly that are no functions by their type are not among them: their addresses are
/// constants for the loader and the vectors.
pub(crate) fn address_taken(program: &Program) -> BTreeSet<usize> {
    let function_at = |address| {
        program
            .starting_at(address)
            .filter(|index| program.functions[*index].typed)
    };
    let mut taken: BTreeSet<usize> = program
        .data
        .iter()
        .filter_map(|word| function_at(*word))
        .collect();
    for function in &program.functions {
        let mut high = [None::<u64>; 32];
        for (_, word) in function.code() {
            let (first, second) = ((word >> 21 & 0x1f) as usize, (word >> 16 & 0x1f) as usize);
            let signed = (word & 0xffff) as i16 as i64;
            match word >> 26 {
                // addis from r2 (the TOC) or from nothing.
                15 if second == 2 => {
                    high[first] = Some(program.toc.wrapping_add_signed(signed << 16))
                }
                15 if second == 0 => high[first] = Some((signed << 16) as u64),
                // addi completes an address; ori does too, with the registers swapped.
                14 => {
                    let base = if second == 2 {
                        Some(program.toc)
                    } else {
                        high[second]
                    };
                    let address = base.map(|base| base.wrapping_add_signed(signed));
                    taken.extend(address.and_then(function_at));
                }
                24 => {
                    let address = high[first].map(|base| base | u64::from(word & 0xffff));
                    taken.extend(address.and_then(function_at));
                }
                _ => {}
            }
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, start: u64, words: &[u32]) -> Function {
        Function {
            names: vec![name.into()],
            start,
            words: words.into(),
            typed: true,
        }
    }

    #[test]
    fn branches_frames_and_indirect_calls() {
        let program = Program {
            functions: vec![
                // stdu r1,-112(r1); bl +0x1fc; mtctr r12; bctrl; addi r1,r1,112; blr
                function(
                    "a",
                    0x1000,
                    &[
                        0xf821_ff91,
                        0x4800_01fd,
                        0x7d89_03a6,
                        0x4e80_0421,
                        0x3821_0070,
                        0x4e80_0020,
                    ],
                ),
                // beq -0x200 (to a); mtctr r4; bctr: a table; nop
                function(
                    "b",
                    0x1200,
                    &[0x4182_fe00, 0x7c89_03a6, 0x4e80_0420, 0x6000_0000],
                ),
                // li r3,0: runs into d
                function("c", 0x1210, &[0x3860_0000]),
                // stdux r1,r1,r0; rfid
                function("d", 0x1214, &[0x7c21_016a, 0x4c00_0024]),
            ],
            ..Program::default()
        };
        let calls = decode(&program);
        assert_eq!(calls[0].direct, BTreeSet::from([1]));
        assert_eq!((calls[0].indirect, calls[0].frame), (1, 112));
        assert_eq!(calls[1].direct, BTreeSet::from([0]));
        assert_eq!(calls[1].indirect, 0);
        assert_eq!(calls[2].direct, BTreeSet::from([3]));
        assert!(calls[3].dynamic_frame && calls[3].direct.is_empty());
    }

    #[test]
    fn another_stack_is_noticed() {
        // ld r1,8(r13); mr r1,r3; addi r1,r12,-128; addis r1,r30,1; ori r1,r1,8 is no load.
        for word in [0xe82d_0008, 0x7c61_1b78, 0x382c_ff80, 0x3c3e_0001] {
            assert!(loads_stack_pointer(word), "{word:#x}");
        }
        // ld r1,0(r1); addi r1,r1,112; ld r3,8(r13); mr r3,r1
        for word in [0xe821_0000, 0x3821_0070, 0xe86d_0008, 0x7c23_0b78] {
            assert!(!loads_stack_pointer(word), "{word:#x}");
        }
    }

    #[test]
    fn addresses_in_data_and_code() {
        let toc = 0x2_8000;
        let program = Program {
            functions: vec![
                // addis r3,r2,-2; addi r3,r3,-0x7ff0 -> toc - 0x27ff0 = 0x10
                function("code", 0x0, &[0x3c62_fffe, 0x3863_8010, 0x4e80_0020, 0]),
                function("formed", 0x10, &[0x4e80_0020]),
                function("stored", 0x14, &[0x4e80_0020]),
                // lis r4,0; ori r4,r4,0x1c
                function("absolute", 0x18, &[0x3c80_0000]),
                function("target", 0x1c, &[0x6084_001c]),
            ],
            data: vec![0x14, 0x15],
            toc,
            ..Program::default()
        };
        // `lis` and `ori` lie in different functions here: no address is formed.
        assert_eq!(address_taken(&program), BTreeSet::from([1, 2]));
        let mut joined = program.clone();
        joined.functions[3].words = vec![0x3c80_0000, 0x6084_0020];
        joined.functions[4].start = 0x20;
        assert_eq!(address_taken(&joined), BTreeSet::from([1, 2, 4]));
        joined.functions[2].typed = false;
        assert_eq!(address_taken(&joined), BTreeSet::from([1, 4]));
    }
}
