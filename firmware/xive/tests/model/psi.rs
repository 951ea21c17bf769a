//! The bridge of a chip's own levels.

#[derive(Clone, Debug, Default)]
pub(crate) struct Psi {
    pub(super) open: bool,
    pub(super) pages: bool,
    /// Its pages are to have 64 KiB.
    pub(super) wide: bool,
    pub(crate) notify: Option<u64>,
    pub(crate) first: u64,
    /// State bits.
    pub(crate) states: [u8; 14],
    pub(crate) levels: [bool; 14],
}

impl Psi {
    pub(super) fn store(&mut self, offset: u64, value: u64) {
        assert!(self.open, "the bridge's window is closed");
        match offset {
            0x58 if value & 1 << 62 != 0 => self.states = [0; 14],
            0x58 => {}
            0x60 => {
                assert!(value == 0 || !self.pages, "pages do not move");
                assert!(value == 0 || value & 1 == 1);
                assert!(value == 0 || (value & 1 << 62 != 0) == self.wide);
                self.pages = value != 0;
            }
            0x68 => self.notify = (value & 1 != 0).then_some(value & !1),
            0x70 => self.first = value >> 32,
            _ => panic!("no register of the bridge at {offset:#x}"),
        }
    }
}
