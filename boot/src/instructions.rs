//! Instructions that Rust has no name for: one small wrapper each.
//!
//! Reading a register cannot break memory safety; writes that can are kept out of here, in the
//! modules that can argue for them.

use core::arch::asm;
use power_registers::Spr;

macro_rules! read {
    ($(#[$doc:meta])* $name:ident, $spr:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name() -> u64 {
            let value: u64;
            // SAFETY: only reads a register.
            unsafe {
                asm!("mfspr {}, {}", out(reg) value, const $spr as u16, options(nomem, nostack));
            }
            value
        }
    };
}

/// A register that other threads change, or that says whether they did. It is no memory: neither the
/// `lwsync` nor the compiler's fence of an atomic holds its reading back, so `isync` does. What was
/// seen in a core's word, or a lock that was taken, comes before it.
macro_rules! read_after {
    ($(#[$doc:meta])* $name:ident, $spr:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name() -> u64 {
            let value: u64;
            // SAFETY: only reads a register. Not `nomem`, so that accesses of memory stay where they
            // are.
            unsafe {
                asm!("isync", "mfspr {}, {}", out(reg) value, const $spr as u16, options(nostack));
            }
            value
        }
    };
}

/// A write takes effect before whatever follows it, also before a later store to memory.
macro_rules! write {
    ($(#[$doc:meta])* $name:ident, $spr:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name(value: u64) {
            // SAFETY: the register controls time, interrupts or diagnosis, not memory.
            unsafe {
                asm!("mtspr {}, {}", "isync", const $spr as u16, in(reg) value, options(nostack));
            }
        }
    };
}

read_after!(tb, Spr::Tb);
read_after!(tfmr, Spr::Tfmr);
read_after!(hmer, Spr::Hmer);
read!(hmeer, Spr::Hmeer);
read!(dec, Spr::Dec);
read!(purr, Spr::Purr);
read!(spurr, Spr::Spurr);
read!(lpcr, Spr::Lpcr);
read!(hid0, Spr::Hid0);
read!(hsprg0, Spr::Hsprg0);
read!(pvr, Spr::Pvr);
write!(set_tfmr, Spr::Tfmr);
write!(set_hmer, Spr::Hmer);
write!(set_tbwl, Spr::Tbwl);
write!(set_tbwu, Spr::Tbwu);
write!(set_tbu40, Spr::Tbu40);
write!(set_dec, Spr::Dec);
write!(set_hdec, Spr::Hdec);
write!(set_purr, Spr::Purr);
write!(set_spurr, Spr::Spurr);

/// Writes HMEER between the barriers that a core-wide register needs.
pub(crate) fn set_hmeer(value: u64) {
    // SAFETY: the register selects causes of interrupts that the vectors handle.
    unsafe {
        asm!("sync", "mtspr {}, {}", "isync", const Spr::Hmeer as u16, in(reg) value,
             options(nostack));
    }
}

/// Writes HID0. POWER8 wants it read six times before the next instruction counts on it; that does
/// no harm later.
pub(crate) fn set_hid0(value: u64) {
    // SAFETY: callers keep all bits but those for diagnosis and for the endianness of interrupts.
    unsafe {
        asm!("sync", "mtspr {h}, {v}",
             "mfspr {v}, {h}", "mfspr {v}, {h}", "mfspr {v}, {h}",
             "mfspr {v}, {h}", "mfspr {v}, {h}", "mfspr {v}, {h}", "isync",
             h = const Spr::Hid0 as u16, v = inout(reg) value => _, options(nostack));
    }
}

/// Processor Identification Register.
pub(crate) fn pir() -> u32 {
    let value: u64;
    // SAFETY: only reads a register.
    unsafe { asm!("mfspr {}, 1023", out(reg) value, options(nomem, nostack)) };
    value as u32
}

/// Machine State Register.
pub(crate) fn msr() -> u64 {
    let value: u64;
    // SAFETY: only reads a register.
    unsafe { asm!("mfmsr {}", out(reg) value, options(nomem, nostack)) };
    value
}

/// `MSR[EE]`: external, decrementer, doorbell and maintenance interrupts.
pub(crate) const MSR_EE: u64 = 1 << 15;

/// Opens or closes interrupts (`MSR[EE]`); gives what it was.
pub(crate) fn set_interrupts(open: bool) -> bool {
    let before = msr() & MSR_EE != 0;
    let value = if open { MSR_EE } else { 0 };
    // SAFETY: L = 1 changes EE and RI only; RI stays 1. All interrupts that EE opens have handlers.
    unsafe { asm!("mtmsrd {}, 1", in(reg) value | 2, options(nostack)) };
    before
}

/// One spin at low priority. On SMT the sibling gets the core; `spin_loop` emits nothing here.
#[inline(always)]
pub(crate) fn relax() {
    // SAFETY: priority hints only.
    unsafe { asm!("or 1, 1, 1", "or 2, 2, 2", options(nomem, nostack)) };
}

/// Stops the machine so that a test runner sees it: `attn`, for ever.
pub(crate) fn attention() -> ! {
    // HID0 enables attn in bit 31 on POWER8, bit 3 later.
    let power8 = pvr() >> 16 <= 0x4d;
    set_hid0(hid0() | power_registers::ibm(if power8 { 31 } else { 3 }));
    loop {
        // SAFETY: hands the machine to the service processor; nothing runs on.
        unsafe { asm!(".long 0x00000200", options(nomem, nostack)) };
    }
}

/// Cache-inhibited accesses of one width in hypervisor real mode.
macro_rules! inhibited {
    ($load:ident: $load_name:literal, $store:ident: $store_name:literal, $width:ty) => {
        inhibited!($load: $load_name, $width);

        pub(crate) fn $store(address: u64, value: $width) {
            // SAFETY: as for the loads.
            unsafe {
                asm!("sync", concat!($store_name, " {v}, 0, {a}"), "sync",
                     v = in(reg) u64::from(value), a = in(reg) address, options(nostack));
            }
        }
    };
    ($load:ident: $load_name:literal, $width:ty) => {
        pub(crate) fn $load(address: u64) -> $width {
            let value: u64;
            // SAFETY: callers pass device addresses of the platform (XSCOM, LPC, the interrupt
            // controller); no Rust object is there.
            unsafe {
                asm!("sync", concat!($load_name, " {v}, 0, {a}"), "twi 0, {v}, 0", "isync",
                     v = out(reg) value, a = in(reg) address, options(nostack));
            }
            value as $width
        }
    };
}

inhibited!(load_doubleword: "ldcix", store_doubleword: "stdcix", u64);
inhibited!(load_word: "lwzcix", store_word: "stwcix", u32);
inhibited!(load_half_word: "lhzcix", u16);
inhibited!(load_byte: "lbzcix", store_byte: "stbcix", u8);

/// Sleeps until anything happens that could interrupt, whether interrupts are open or not; goes on
/// behind the instruction. POWER9 and later.
pub(crate) fn stop_for_a_moment() {
    // Level 0, nothing lost (ESL = EC = 0), transition rate as the reference has it.
    const PSSCR: u64 = 0x300;
    // SAFETY: nothing is lost at this level, and no vector is entered on the way out. The
    // assembler has names for neither on the oldest processor.
    unsafe {
        asm!("mtspr 855, {}", "sync", ".long 0x4c0002e4", in(reg) PSSCR, options(nostack));
    }
}

/// One spin at the lowest priority that supervisors have.
pub(crate) fn relax_deeply() {
    // SAFETY: priority hints only.
    unsafe {
        asm!(
            "or 31, 31, 31",
            "or 1, 1, 1",
            "or 2, 2, 2",
            options(nomem, nostack)
        )
    };
}

/// `msgsnd`: a hypervisor doorbell. `tag` is a thread number on POWER8, a PIR later.
pub(crate) fn send_doorbell(tag: u64) {
    const HYPERVISOR_DOORBELL: u64 = 5 << 27;
    // SAFETY: raises an interrupt that every thread handles. The assembler has no name for
    // `msgsnd r4`.
    unsafe {
        asm!("sync", ".long 0x7c00219c", in("r4") HYPERVISOR_DOORBELL | tag, options(nostack));
    }
}

/// `msgclr`: takes back a hypervisor doorbell of this thread.
pub(crate) fn clear_doorbell() {
    const HYPERVISOR_DOORBELL: u64 = 5 << 27;
    // SAFETY: clears a pending interrupt. The assembler has no name for `msgclr r4`.
    unsafe { asm!(".long 0x7c0021dc", in("r4") HYPERVISOR_DOORBELL, options(nostack)) };
}
