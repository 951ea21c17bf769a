/// Decisions out of bytes; when they are used up, every decision is 0.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
}

/// Numbers at which arithmetic on addresses and lengths goes wrong.
const EDGES: [u64; 16] = [
    0,
    1,
    7,
    8,
    0x2fff,
    0x3000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    (1 << 60) - 1,
    1 << 60,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

impl<'a> Input<'a> {
    /// Reads decisions from `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    /// So many bytes, or what is left of them.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    /// Sixteen bits.
    pub fn half(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Any doubleword.
    pub fn word(&mut self) -> u64 {
        let mut bytes = [0; 8];
        for (place, byte) in bytes.iter_mut().zip(self.take(8)) {
            *place = *byte;
        }
        u64::from_be_bytes(bytes)
    }

    /// A number below `limit`, which is at most 65536.
    ///
    /// # Panics
    /// If `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let number = if limit <= 256 {
            usize::from(self.byte())
        } else {
            usize::from(self.half())
        };
        number % limit
    }

    /// One in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A doubleword that is likely to hurt: an edge, a bit or two, something small, or anything.
    pub fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0 | 1 => self.pick(&EDGES),
            2 => self.pick(&EDGES).wrapping_add(u64::from(self.byte() % 16)),
            3 => self.pick(&EDGES).wrapping_sub(u64::from(self.byte() % 16)),
            4 => 1 << (self.byte() % 64),
            5 => 1 << (self.byte() % 64) | 1 << (self.byte() % 64),
            6 => self.byte().into(),
            _ => self.word(),
        }
    }
}
