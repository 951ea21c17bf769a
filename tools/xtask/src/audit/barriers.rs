//! Registers that threads share are no memory: each write of one must have taken effect before what
//! follows, and each reading must wait for what came before. See `docs/memory-ordering.md`.

use super::program::Program;

const ISYNC: u32 = 0x4c00_012c;
const TB: u32 = 268;
const TBWL: u32 = 284;
const TBWU: u32 = 285;
const TBU40: u32 = 286;
const HMER: u32 = 336;
const TFMR: u32 = 829;

/// Number of the SPR, if this is an `mtspr`.
const fn written(word: u32) -> Option<u32> {
    if word & 0xfc00_07fe == 0x7c00_03a6 {
        Some(number(word))
    } else {
        None
    }
}

/// Number of the SPR, if this is an `mfspr` or an `mftb`.
const fn read(word: u32) -> Option<u32> {
    if matches!(word & 0xfc00_07fe, 0x7c00_02a6 | 0x7c00_02e6) {
        Some(number(word))
    } else {
        None
    }
}

/// The halves of the number are swapped.
const fn number(word: u32) -> u32 {
    word >> 16 & 0x1f | (word >> 11 & 0x1f) << 5
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Accesses of those registers.
    pub(super) accesses: usize,
    /// Those without their `isync`.
    pub(super) bare: Vec<String>,
}

pub(super) fn look(program: &Program) -> Found {
    let mut found = Found::default();
    for function in &program.functions {
        let code: Vec<(u64, u32)> = function.code().collect();
        for (index, &(at, word)) in code.iter().enumerate() {
            let neighbour = match (written(word), read(word)) {
                (Some(TFMR | HMER | TBWL | TBWU | TBU40), _) => index.checked_add(1),
                (_, Some(TFMR | HMER | TB)) => index.checked_sub(1),
                _ => continue,
            };
            found.accesses += 1;
            let other = neighbour.and_then(|index| code.get(index));
            if other.is_none_or(|(_, word)| *word != ISYNC) {
                let name = function.name();
                found
                    .bare
                    .push(format!("{word:#010x} at {at:#x} in {name} has no isync"));
            }
        }
    }
    found
}

impl Found {
    pub(super) fn failures(&self) -> Vec<String> {
        let none = (self.accesses == 0).then(|| "no access of TFMR, HMER or TB".to_owned());
        self.bare.iter().cloned().chain(none).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Function;
    use super::*;

    fn look_at(words: &[u32]) -> Found {
        let function = Function {
            names: vec!["f".into()],
            start: 0x100,
            words: words.to_vec(),
            typed: true,
        };
        look(&Program {
            functions: vec![function],
            ..Program::default()
        })
    }

    #[test]
    fn each_access_needs_its_isync() {
        // mtspr TFMR, r3; mfspr r3, TFMR; mftb r3; mfspr r3, DEC.
        let (write, read, timebase, dec) = (0x7c7d_cba6, 0x7c7d_caa6, 0x7c6c_42e6, 0x7c76_02a6);
        assert_eq!(written(write), Some(TFMR));
        assert_eq!(super::read(timebase), Some(TB));
        let good = look_at(&[write, ISYNC, read, dec, ISYNC, timebase]);
        assert_eq!((good.accesses, good.failures().len()), (3, 0));
        assert_eq!(look_at(&[ISYNC, write, dec]).bare.len(), 1);
        assert_eq!(look_at(&[read, ISYNC]).bare.len(), 1);
        assert_eq!(look_at(&[dec]).failures().len(), 1);
    }
}
