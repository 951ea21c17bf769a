//! The shim's machine trait, by instructions: partitions, guests, doorbells.

use crate::assembly::{call_opal, enter_guest};
use crate::instructions as cpu;
use crate::layout::{
    CALL_BUFFERS, CALL_BUFFERS_SIZE, GUEST_MEMORY, GUEST_MEMORY_SIZE, GUEST_TABLES,
};
use crate::start::PLATFORM;
use crate::thread::{current_index, with_guest_frame};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use hypervisor_shim::guest::HCALL_RESULT;
use hypervisor_shim::machine::{GuestExit, GuestLimits, GuestReport, Machine};
use opal_abi::{Token, message};
use opaline_firmware::platform::{Generation, MAX_THREADS};
use power_registers::{Hmer, Tfmr, ibm, ibm_range};

core::arch::global_asm!(include_str!("assembly/guest.S"));

unsafe extern "C" {
    static opaline_guest_start: u8;
    static opaline_guest_end: u8;
}

/// DEC period of a guest: 20 ms.
const GUEST_DEC_PERIOD: u64 = 20_000 * hypervisor_shim::shim::TICKS_PER_MICROSECOND;
/// MSR of a guest at its start: 64-bit, machine checks and recoverable interrupts on, HV off.
const GUEST_MSR: u64 = ibm(0) | 0x1000 | 0x2;

// LPCR bits of the partitions.
const LPCR_VPM: u64 = ibm_range(0, 1);
const LPCR_RMLS: u64 = ibm_range(34, 37);
const LPCR_RMLS_32_MIB: u64 = 8 << (63 - 37);
const LPCR_AIL: u64 = ibm_range(39, 40);
const LPCR_UPRT: u64 = ibm(41);
const LPCR_HR: u64 = ibm(43);
const LPCR_GTSE: u64 = ibm(53);
const LPCR_LPES: u64 = ibm_range(60, 61);
const LPCR_HVICE: u64 = ibm(62);
const LPCR_HDICE: u64 = ibm(63);

/// LPCR in host context: no LPES, no hypervisor decrementer.
pub(crate) fn host_lpcr(lpcr: u64) -> u64 {
    lpcr & !(LPCR_LPES | LPCR_HDICE | LPCR_HVICE | LPCR_VPM | LPCR_AIL | LPCR_UPRT | LPCR_HR)
}

fn guest_lpcr(generation: Generation) -> u64 {
    let base = host_lpcr(cpu::lpcr());
    match generation {
        Generation::Power8 => (base & !LPCR_RMLS) | LPCR_RMLS_32_MIB | LPCR_HDICE,
        Generation::Power9 | Generation::Power10 => {
            base | LPCR_HR | LPCR_UPRT | LPCR_GTSE | LPCR_HDICE
        }
    }
}

fn set_lpcr(value: u64) {
    // SAFETY: host values keep translation out of hypervisor real mode; guest values act only
    // with HV = 0.
    unsafe { asm!("mtspr 318, {}", "isync", in(reg) value, options(nostack)) };
}

fn set_lpidr(value: u64) {
    // SAFETY: selects the partition for accesses with HV = 0 only.
    unsafe { asm!("ptesync", "mtspr 319, {}", "isync", in(reg) value, options(nostack)) };
}

/// Puts LPCR and LPIDR into host context on the calling thread.
pub(crate) fn enter_host_context() {
    set_lpcr(host_lpcr(cpu::lpcr()));
    set_lpidr(0);
}

/// Copies the guest's code and builds the tables that map it; once, by the boot thread.
///
/// One 2 MiB page serves all guests: they have no memory but their code. POWER8 uses the real
/// mode offset instead of tables.
pub(crate) fn prepare_guest_memory() {
    const ROOT_SIZE_LOG2: u64 = 13;
    const LEVEL_SIZE_LOG2: u64 = 9;
    const VALID: u64 = ibm(0);
    const LEAF: u64 = ibm(1);
    // Referenced, changed, read, write, execute, privileged.
    const ATTRIBUTES: u64 = 0x100 | 0x80 | 0xf;
    const RADIX_TREE_SIZE_52: u64 = 2 << 61 | 5 << 5;
    let partition_table = GUEST_TABLES;
    let root = GUEST_TABLES + 0x1_0000;
    let level_2 = GUEST_TABLES + 0x2_0000;
    let level_3 = GUEST_TABLES + 0x2_1000;
    // SAFETY: this memory is reserved for the tables (checked against the platform's memory
    // before), only the boot thread runs here, and nothing else refers to it. The guest's code
    // lies between its two symbols.
    unsafe {
        core::ptr::write_bytes(GUEST_TABLES as *mut u8, 0, 0x3_0000);
        let entry = |at: u64, value: u64| (at as *mut u64).write(value);
        for lpid in 1..=MAX_THREADS as u64 {
            entry(
                partition_table + 16 * lpid,
                VALID | RADIX_TREE_SIZE_52 | root | ROOT_SIZE_LOG2,
            );
        }
        // LPID 0 as well: the tables are looked at only with HV = 0.
        entry(
            partition_table,
            VALID | RADIX_TREE_SIZE_52 | root | ROOT_SIZE_LOG2,
        );
        entry(root, VALID | level_2 | LEVEL_SIZE_LOG2);
        entry(level_2, VALID | level_3 | LEVEL_SIZE_LOG2);
        entry(level_3, VALID | LEAF | GUEST_MEMORY | ATTRIBUTES);
        let start = &raw const opaline_guest_start;
        let size = (&raw const opaline_guest_end) as usize - start as usize;
        core::ptr::write_bytes(GUEST_MEMORY as *mut u8, 0, GUEST_MEMORY_SIZE as usize);
        core::ptr::copy_nonoverlapping(start, GUEST_MEMORY as *mut u8, size);
        for line in (GUEST_MEMORY..GUEST_MEMORY + size as u64).step_by(128) {
            asm!("dcbst 0, {a}", "sync", "icbi 0, {a}", a = in(reg) line, options(nostack));
        }
        asm!("sync", "isync", options(nostack));
    }
}

/// Points the calling thread's partition registers at guest memory.
pub(crate) fn prepare_partition(generation: Generation) {
    match generation {
        Generation::Power8 => {
            // SAFETY: the real mode offset acts only with HV = 0.
            unsafe { asm!("mtspr 312, {}", "isync", in(reg) GUEST_MEMORY, options(nostack)) };
        }
        Generation::Power9 | Generation::Power10 => {
            const TABLE_SIZE_64_KIB: u64 = 4;
            let value = GUEST_TABLES | TABLE_SIZE_64_KIB;
            // SAFETY: the partition table was built before; it acts only with HV = 0.
            unsafe { asm!("mtspr 464, {}", "isync", in(reg) value, options(nostack)) };
        }
    }
}

/// The machine as the shim's calling thread uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShimThread {
    /// Processor generation.
    pub(crate) generation: Generation,
    /// Index of its core in the platform.
    pub(crate) core: usize,
}

/// A buffer that OPAL writes, at an address of its own for each thread. It must lie outside the
/// firmware's memory, as the OS's buffers do: the firmware refuses pointers to itself.
#[repr(C)]
struct CallBuffer {
    flags: AtomicU64,
    message: [AtomicU64; message::SIZE / 8],
    length: AtomicU64,
    events: AtomicU64,
    text: [AtomicU64; 32],
}

fn call_buffer() -> &'static CallBuffer {
    let address = CALL_BUFFERS + (current_index() * 1024) as u64;
    const {
        assert!(size_of::<CallBuffer>() <= 1024);
        assert!(1024 * MAX_THREADS as u64 <= CALL_BUFFERS_SIZE);
    };
    // SAFETY: aligned, inside memory (checked at start), never used for anything else, and made
    // of atomics, so that a write by the firmware is no race.
    unsafe { &*(address as *const CallBuffer) }
}

fn address_of(word: &AtomicU64) -> u64 {
    core::ptr::from_ref(word) as u64
}

/// Where this thread's buffer for OPAL is; a good pointer in every sense.
pub(crate) fn call_buffer_address() -> u64 {
    address_of(&call_buffer().flags)
}

/// Writes text to the console through OPAL, as an OS does.
pub(crate) fn opal_console_write(text: &[u8]) {
    let buffer = call_buffer();
    for part in text.chunks(256) {
        for (word, bytes) in buffer.text.iter().zip(part.chunks(8)) {
            let value = bytes.iter().enumerate().fold(0, |value, (at, byte)| {
                value | u64::from(*byte) << (56 - 8 * at)
            });
            word.store(value, Ordering::Relaxed);
        }
        buffer.length.store(part.len() as u64, Ordering::Release);
        let mut arguments = [0; 8];
        arguments[1] = address_of(&buffer.length);
        arguments[2] = buffer.text.as_ptr() as u64;
        call_opal(Token::ConsoleWrite as u64, arguments);
    }
}

/// Calls that came back with a preserved register changed.
pub(crate) static CLOBBERED: AtomicU64 = AtomicU64::new(0);

impl Machine for ShimThread {
    fn timebase(&mut self) -> u64 {
        cpu::tb()
    }

    fn set_timebase_upper40(&mut self, value: u64) {
        cpu::set_tbu40(value);
    }

    fn tfmr(&mut self) -> Tfmr {
        Tfmr::from_bits_retain(cpu::tfmr())
    }

    fn set_tfmr(&mut self, value: Tfmr) {
        cpu::set_tfmr(value.bits());
    }

    fn hmer(&mut self) -> Hmer {
        Hmer::from_bits_retain(cpu::hmer())
    }

    fn decrementer(&mut self) -> i64 {
        i64::from(cpu::dec() as i32)
    }

    fn set_decrementer(&mut self, value: i64) {
        cpu::set_dec(value as u64);
    }

    fn hypervisor_decrementer(&mut self) -> i64 {
        let value: u64;
        // SAFETY: only reads a register.
        unsafe { asm!("mfspr {}, 310", out(reg) value, options(nomem, nostack)) };
        match self.generation {
            Generation::Power8 => i64::from(value as i32),
            Generation::Power9 | Generation::Power10 => value as i64,
        }
    }

    fn set_hypervisor_decrementer(&mut self, value: i64) {
        cpu::set_hdec(value as u64);
    }

    fn reset_guest(&mut self, limits: GuestLimits) {
        prepare_partition(self.generation);
        with_guest_frame(|frame| {
            frame.gpr = [0; 32];
            frame.gpr[14] = limits.step_ticks;
            frame.gpr[15] = limits.skew_ticks;
            frame.gpr[17] = HCALL_RESULT;
            frame.gpr[18] = GUEST_DEC_PERIOD;
            frame.gpr[19] = limits.checks_per_hcall - 1;
            frame.pc = 0;
            frame.msr = GUEST_MSR;
        });
    }

    fn run_guest(&mut self) -> GuestExit {
        let host = cpu::lpcr();
        set_lpidr(current_index() as u64 + 1);
        set_lpcr(guest_lpcr(self.generation));
        let vector = enter_guest();
        set_lpcr(host);
        set_lpidr(0);
        with_guest_frame(|frame| {
            let (pc, msr) = frame.interrupted();
            frame.pc = pc;
            frame.msr = msr;
            GuestExit { vector, pc, msr }
        })
    }

    fn guest_report(&mut self) -> GuestReport {
        with_guest_frame(|frame| GuestReport {
            checks: frame.gpr[20],
            failures: frame.gpr[21],
            before: frame.gpr[22],
            after: frame.gpr[23],
            largest_step: frame.gpr[24],
            largest_skew: frame.gpr[25],
        })
    }

    fn answer_hcall(&mut self, result: u64) {
        with_guest_frame(|frame| frame.gpr[3] = result);
    }

    fn call_opal(&mut self, token: Token, arguments: [u64; 8]) -> i64 {
        let (result, clobbered) = call_opal(token as u64, arguments);
        CLOBBERED.fetch_add(clobbered, Ordering::Relaxed);
        result
    }

    fn handle_hmi2(&mut self) -> (i64, u64) {
        let buffer = call_buffer();
        buffer.flags.store(0, Ordering::Release);
        let mut arguments = [0; 8];
        arguments[0] = address_of(&buffer.flags);
        let result = self.call_opal(Token::HandleHmi2, arguments);
        (result, buffer.flags.load(Ordering::Acquire))
    }

    fn next_message(&mut self) -> Option<[u8; message::SIZE]> {
        let buffer = call_buffer();
        let mut arguments = [0; 8];
        arguments[0] = buffer.message.as_ptr() as u64;
        arguments[1] = message::SIZE as u64;
        if self.call_opal(Token::GetMessage, arguments) != opal_abi::SUCCESS {
            return None;
        }
        let mut bytes = [0; message::SIZE];
        for (part, word) in bytes.chunks_exact_mut(8).zip(&buffer.message) {
            part.copy_from_slice(&word.load(Ordering::Acquire).to_be_bytes());
        }
        Some(bytes)
    }

    fn ring(&mut self, thread: u32) {
        // A doorbell names a thread of the core on POWER8, a PIR later.
        cpu::send_doorbell(match self.generation {
            Generation::Power8 => u64::from(thread),
            Generation::Power9 | Generation::Power10 => {
                let core = PLATFORM.get().and_then(|found| found.cores.get(self.core));
                match core.and_then(|core| core.threads.get(thread as usize)) {
                    Some(pir) => u64::from(pir.0),
                    None => return,
                }
            }
        });
    }

    fn silence(&mut self) {
        cpu::clear_doorbell();
    }

    fn relax(&mut self) {
        cpu::relax();
    }

    fn set_interrupts(&mut self, open: bool) -> bool {
        cpu::set_interrupts(open)
    }
}
