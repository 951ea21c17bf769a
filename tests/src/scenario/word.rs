use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 64 bits of a register. In a file: a number, a string with a number in hex, or a list of IBM bit
/// numbers (bit 0 = most significant).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Word(pub u64);

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl From<u64> for Word {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl Word {
    /// Whether no bit is set.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:#018x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a 64-bit number, a hex string, or a list of IBM bit numbers 0 to 63")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Word, E> {
        Ok(Word(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Word, E> {
        u64::try_from(value)
            .map(Word)
            .map_err(|_| E::custom("a register has no sign"))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Word, E> {
        u64::try_from(value)
            .map(Word)
            .map_err(|_| E::custom("a register has 64 bits"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
        let digits = text.strip_prefix("0x").unwrap_or(text).replace('_', "");
        u64::from_str_radix(&digits, 16)
            .map(Word)
            .map_err(|_| E::custom(format_args!("{text:?} is not a number in hex")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bits: A) -> Result<Word, A::Error> {
        let mut word = 0;
        while let Some(bit) = bits.next_element::<u32>()? {
            if bit > 63 {
                let why = format_args!("bit {bit} does not exist: IBM bits are 0 to 63");
                return Err(A::Error::custom(why));
            }
            word |= power_registers::ibm(bit);
        }
        Ok(Word(word))
    }
}
