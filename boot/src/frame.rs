//! What assembly saves and Rust reads: the layouts are shared by offset.

/// Everything that an exception interrupted, or the whole state of a guest.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Frame {
    pub(crate) gpr: [u64; 32],
    pub(crate) lr: u64,
    pub(crate) ctr: u64,
    pub(crate) cr: u64,
    pub(crate) xer: u64,
    pub(crate) srr0: u64,
    pub(crate) srr1: u64,
    pub(crate) hsrr0: u64,
    pub(crate) hsrr1: u64,
    pub(crate) dar: u64,
    pub(crate) dsisr: u64,
    pub(crate) hdar: u64,
    pub(crate) hdsisr: u64,
    pub(crate) heir: u64,
    pub(crate) vector: u64,
    /// Where to go on; set by Rust before the frame is resumed.
    pub(crate) pc: u64,
    /// MSR to go on with; set by Rust before the frame is resumed.
    pub(crate) msr: u64,
}

impl Frame {
    pub(crate) const fn zeroed() -> Self {
        Self {
            gpr: [0; 32],
            lr: 0,
            ctr: 0,
            cr: 0,
            xer: 0,
            srr0: 0,
            srr1: 0,
            hsrr0: 0,
            hsrr1: 0,
            dar: 0,
            dsisr: 0,
            hdar: 0,
            hdsisr: 0,
            heir: 0,
            vector: 0,
            pc: 0,
            msr: 0,
        }
    }

    /// Where the exception came from: (address, MSR), by the save registers that its vector uses.
    pub(crate) fn interrupted(&self) -> (u64, u64) {
        // Implementation bits of SRR1 that are not MSR: 33:36 and 42:47.
        const STATUS_BITS: u64 = 0x783f_0000;
        let (pc, msr) = match self.vector {
            0x500 | 0x980 | 0xe00 | 0xe20 | 0xe40 | 0xe60 | 0xe80 | 0xea0 | 0xf80 => {
                (self.hsrr0, self.hsrr1)
            }
            _ => (self.srr0, self.srr1),
        };
        (pc, msr & !STATUS_BITS)
    }
}

/// The OPAL call as the entry saves it on the thread's OPAL stack.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CallFrame {
    pub(crate) r1: u64,
    pub(crate) r2: u64,
    pub(crate) r13: u64,
    pub(crate) lr: u64,
    pub(crate) cr: u64,
    pub(crate) block: u64,
    pub(crate) token: u64,
    pub(crate) arguments: [u64; 8],
}

/// A call to OPAL as the shim makes it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct OutgoingCall {
    pub(crate) token: u64,
    pub(crate) arguments: [u64; 8],
    pub(crate) base: u64,
    pub(crate) entry: u64,
    /// Registers that came back changed though the ABI preserves them.
    pub(crate) clobbered: u64,
}
