//! System calls, the beginning and the end of the program, and TB.

use core::arch::{asm, global_asm};
use core::ffi::CStr;
use core::fmt;
use core::panic::PanicInfo;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i64);

/// A signal came in between.
pub(crate) const EINTR: Errno = Errno(4);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}", self.0)
    }
}

mod number {
    pub(super) const WRITE: u64 = 4;
    pub(super) const OPEN: u64 = 5;
    pub(super) const ACCESS: u64 = 33;
    pub(super) const IOCTL: u64 = 54;
    pub(super) const MMAP: u64 = 90;
    pub(super) const EXIT_GROUP: u64 = 234;
    pub(super) const CLOCK_GETTIME: u64 = 246;
}

const READ_WRITE: u64 = 2;
const CLOSE_ON_EXEC: u64 = 0o2_000_000;
const PROTECTION_READ_WRITE: u64 = 3;
const MAP_SHARED: u64 = 1;
const MAP_ANONYMOUS: u64 = 0x20;
const CLOCK_MONOTONIC: u64 = 1;

global_asm!(
    "
    .section .text._start, \"ax\"
    .globl _start
_start:
    # The kernel puts the number of words at the stack pointer, and their addresses behind it.
    lis     2, .TOC.@ha
    addi    2, 2, .TOC.@l
    mr      3, 1
    li      0, 0
    clrrdi  1, 1, 4
    stdu    0, -128(1)
    bl      kvm_guest_start
    nop
    trap
    .text
    "
);

/// Most words on the command line.
const MOST_WORDS: usize = 8;

/// Collects the words and begins.
#[unsafe(no_mangle)]
extern "C" fn kvm_guest_start(stack: *const usize) -> ! {
    // SAFETY: the kernel put the count here.
    let count = unsafe { *stack }.min(MOST_WORDS);
    let mut words = [""; MOST_WORDS];
    for (index, word) in words.iter_mut().enumerate().take(count) {
        // SAFETY: behind the count are so many addresses of strings that end with a zero and stay.
        let bytes = unsafe { CStr::from_ptr(*stack.add(1 + index) as *const _) };
        *word = bytes.to_str().unwrap_or("");
    }
    let good = crate::monitor::run(words.get(1..count).unwrap_or(&[]));
    exit(if good { 0 } else { 1 })
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    say(format_args!("{info}\n"));
    exit(2)
}

/// A system call.
///
/// # Safety
/// Whatever the call reads and writes must be there.
unsafe fn call(number: u64, arguments: [u64; 6]) -> Result<u64, Errno> {
    let [a, b, c, d, e, f] = arguments;
    let mut value = a as i64;
    // SAFETY: the caller vouches for the arguments; the kernel changes these registers only. It
    // says by CR0[SO] that it failed.
    unsafe {
        asm!(
            "sc",
            "bns+ 2f",
            "neg 3, 3",
            "2:",
            inlateout("r0") number => _,
            inlateout("r3") value,
            inlateout("r4") b => _,
            inlateout("r5") c => _,
            inlateout("r6") d => _,
            inlateout("r7") e => _,
            inlateout("r8") f => _,
            lateout("r9") _, lateout("r10") _, lateout("r11") _, lateout("r12") _,
            lateout("cr0") _, lateout("ctr") _, lateout("xer") _,
            options(nostack)
        );
    }
    // Error numbers end here; addresses and counts are no such small negative numbers.
    if (-4095..0).contains(&value) {
        Err(Errno(-value))
    } else {
        Ok(value as u64)
    }
}

/// Writes to the standard output.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    struct Output;
    impl fmt::Write for Output {
        fn write_str(&mut self, mut text: &str) -> fmt::Result {
            while !text.is_empty() {
                let arguments = [1, text.as_ptr() as u64, text.len() as u64, 0, 0, 0];
                // SAFETY: the kernel reads the text.
                let written = unsafe { call(number::WRITE, arguments) };
                match written {
                    Ok(count) => text = text.get(count as usize..).unwrap_or(""),
                    Err(EINTR) => {}
                    Err(_) => return Err(fmt::Error),
                }
            }
            Ok(())
        }
    }
    // Nobody could be told that nobody can be told.
    let _ = fmt::Write::write_fmt(&mut Output, text);
}

/// Ends the program.
pub(crate) fn exit(code: u64) -> ! {
    loop {
        // SAFETY: it touches no memory.
        let _ = unsafe { call(number::EXIT_GROUP, [code, 0, 0, 0, 0, 0]) };
    }
}

/// An open file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File(u64);

impl File {
    /// Opens for reading and writing.
    pub(crate) fn open(path: &CStr) -> Result<Self, Errno> {
        let flags = READ_WRITE | CLOSE_ON_EXEC;
        let arguments = [path.as_ptr() as u64, flags, 0, 0, 0, 0];
        // SAFETY: the kernel reads the path, which ends with a zero.
        unsafe { call(number::OPEN, arguments) }.map(Self)
    }

    /// The file behind a number that a request answered.
    pub(crate) const fn from_answer(number: u64) -> Self {
        Self(number)
    }

    /// A request with a number.
    pub(crate) fn request(self, request: u64, argument: u64) -> Result<u64, Errno> {
        // SAFETY: requests with a number touch no memory of ours, but that which was mapped for it.
        unsafe { call(number::IOCTL, [self.0, request, argument, 0, 0, 0]) }
    }

    /// A request with a structure.
    ///
    /// # Safety
    /// The request must be one for this structure.
    pub(crate) unsafe fn request_with<T>(
        self,
        request: u64,
        argument: &mut T,
    ) -> Result<u64, Errno> {
        let address = core::ptr::from_mut(argument) as u64;
        // SAFETY: the caller vouches that it is the request's structure.
        unsafe { call(number::IOCTL, [self.0, request, address, 0, 0, 0]) }
    }

    /// Maps so many bytes of the file.
    pub(crate) fn map(self, bytes: u64) -> Result<*mut u8, Errno> {
        map(bytes, MAP_SHARED, self.0)
    }
}

/// Memory of our own, for ever.
pub(crate) fn memory(bytes: u64) -> Result<*mut u8, Errno> {
    map(bytes, MAP_SHARED | MAP_ANONYMOUS, u64::MAX)
}

fn map(bytes: u64, flags: u64, file: u64) -> Result<*mut u8, Errno> {
    let arguments = [0, bytes, PROTECTION_READ_WRITE, flags, file, 0];
    // SAFETY: a new mapping, where the kernel finds room.
    let address = unsafe { call(number::MMAP, arguments) }?;
    Ok(address as *mut u8)
}

/// Whether a file exists.
pub(crate) fn exists(path: &CStr) -> bool {
    // SAFETY: the kernel reads the path, which ends with a zero.
    unsafe { call(number::ACCESS, [path.as_ptr() as u64, 0, 0, 0, 0, 0]) }.is_ok()
}

/// `CLOCK_MONOTONIC` in nanoseconds, from the kernel itself.
pub(crate) fn clock() -> Result<u64, Errno> {
    let mut time = [0_u64; 2];
    let arguments = [CLOCK_MONOTONIC, time.as_mut_ptr() as u64, 0, 0, 0, 0];
    // SAFETY: seconds and nanoseconds are written, two doublewords.
    unsafe { call(number::CLOCK_GETTIME, arguments) }?;
    let [seconds, nanoseconds] = time;
    Ok(seconds * 1_000_000_000 + nanoseconds)
}

/// TB of the thread that we run on.
pub(crate) fn timebase() -> u64 {
    let value: u64;
    // SAFETY: it reads a register.
    unsafe { asm!("mftb {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}
