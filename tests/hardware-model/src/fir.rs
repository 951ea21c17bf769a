//! A fault isolation register with its companions, in the usual order of addresses.

/// FIR, mask, actions and "who is on first".
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fir {
    pub(crate) bits: u64,
    pub(crate) mask: u64,
    pub(crate) action: [u64; 2],
    pub(crate) first: u64,
}

/// Addresses from the FIR on: FIR, AND, OR, mask, AND, OR, two actions, WOF.
pub(crate) const SPAN: u32 = 9;
/// Offset of WOF.
pub(crate) const WOF: u32 = 8;

impl Fir {
    /// A read; the AND and OR addresses cannot be read.
    pub(crate) const fn read(&self, offset: u32) -> Option<u64> {
        match offset {
            0 => Some(self.bits),
            3 => Some(self.mask),
            6 => Some(self.action[0]),
            7 => Some(self.action[1]),
            WOF => Some(self.first),
            _ => None,
        }
    }

    /// A write; gives the FIR bits that it set, `None` when the address takes none.
    pub(crate) const fn write(&mut self, offset: u32, value: u64) -> Option<u64> {
        match offset {
            0 => {
                self.bits = value;
                return Some(value);
            }
            1 => self.bits &= value,
            2 => {
                self.bits |= value;
                return Some(value);
            }
            3 => self.mask = value,
            4 => self.mask &= value,
            5 => self.mask |= value,
            6 => self.action[0] = value,
            7 => self.action[1] = value,
            WOF => self.first = value,
            _ => return None,
        }
        Some(0)
    }

    /// Errors come on; WOF keeps the first ones that are not masked.
    pub(crate) const fn set(&mut self, bits: u64) {
        self.bits |= bits;
        if self.first == 0 {
            self.first = bits & !self.mask;
        }
    }
}
