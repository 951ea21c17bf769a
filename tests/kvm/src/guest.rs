//! The guest: a loop without memory or stack, and one interrupt handler.
//!
//! It reads TB and DEC so many times and makes a hypercall with what it saw. DEC interrupts it every now
//! and then, is set anew, and must not have come before its time. TB is read before and after DEC, so
//! their sum, which is the time at which DEC expires, is known from both sides.

use core::arch::global_asm;

/// Number of its hypercall: none that KVM would handle by itself.
pub(crate) const REPORT: u64 = 0xf100;

/// In this register it finds how many readings it makes between two reports.
pub(crate) const ROUNDS_REGISTER: usize = 14;
/// Where the handler of DEC begins, from the beginning of the guest's memory.
const DEC_VECTOR: u64 = 0x900;
/// Where the loop begins.
pub(crate) const ENTRY: u64 = 0x1000;
/// From one interrupt to the next: a quarter of a millisecond.
const PERIOD_TICKS: u64 = 1 << 17;

// Registers: 20 last TB, 21 steps back, 22 largest step, 23 the time at which DEC expires, 24 how far
// TB + DEC fell below it, 25 how far it rose above; 26 interrupts, 27 how much too early the earliest
// came, 28 how late the latest. 19, 29 to 31 and all below 13 are used as they come; the handler has 29
// to 31 for itself.
global_asm!(
    "
    .section .rodata.kvm_guest, \"a\"
    .balign 8
    .globl kvm_guest_begin
    .globl kvm_guest_end
kvm_guest_begin:
    .org kvm_guest_begin + {dec_vector}
    mfcr    31
    mftb    29
    subf    30, 29, 23
    cmpd    30, 27
    ble     1f
    mr      27, 30
1:
    neg     30, 30
    cmpd    30, 28
    ble     2f
    mr      28, 30
2:
    addi    26, 26, 1
    lis     30, {period}@h
    ori     30, 30, {period}@l
    # TB first: whatever comes between the two makes DEC late, never early.
    mftb    29
    mtspr   22, 30
    add     23, 29, 30
    mtcr    31
    rfid

    .org kvm_guest_begin + {entry}
    li      21, 0
    li      22, 0
    li      26, 0
    li      27, 0
    li      28, 0
    # Whatever DEC was before, it is set before interrupts are opened.
    lis     9, {period}@h
    ori     9, 9, {period}@l
    mftb    20
    mtspr   22, 9
    add     23, 20, 9
    li      9, 0
    ori     9, 9, 0x8000
    mtmsrd  9, 1
1:
    li      24, 0
    li      25, 0
    mtctr   {rounds}
2:
    mr      19, 26
    mftb    5
    mfspr   7, 22
    mftb    8
    extsw   7, 7
    cmpld   5, 20
    bge     3f
    addi    21, 21, 1
3:
    cmpld   8, 5
    bge     4f
    addi    21, 21, 1
4:
    subf    6, 20, 5
    cmpd    6, 22
    ble     5f
    mr      22, 6
5:
    subf    6, 5, 8
    cmpd    6, 22
    ble     6f
    mr      22, 6
6:
    mr      20, 8
    # The sum is not above this, and not below that.
    add     11, 8, 7
    subf    11, 11, 23
    add     10, 5, 7
    subf    10, 23, 10
    # An interrupt meanwhile has set DEC.
    cmpld   19, 26
    bne     8f
    cmpd    11, 24
    ble     7f
    mr      24, 11
7:
    cmpd    10, 25
    ble     8f
    mr      25, 10
8:
    bdnz    2b
    lis     3, {report}@h
    ori     3, 3, {report}@l
    mr      4, 20
    mr      5, 21
    mr      6, 22
    mr      7, 24
    mr      8, 25
    mr      9, 26
    mr      10, 27
    mr      11, 28
    sc      1
    b       1b
kvm_guest_end:
    .text
    ",
    dec_vector = const DEC_VECTOR,
    entry = const ENTRY,
    period = const PERIOD_TICKS,
    rounds = const ROUNDS_REGISTER,
    report = const REPORT,
);

unsafe extern "C" {
    static kvm_guest_begin: u8;
    static kvm_guest_end: u8;
}

/// Its instructions.
pub(crate) fn program() -> &'static [u8] {
    let (begin, end) = (&raw const kvm_guest_begin, &raw const kvm_guest_end);
    let length = end.addr() - begin.addr();
    // SAFETY: both symbols stand in one read-only section, the second behind the first.
    unsafe { core::slice::from_raw_parts(begin, length) }
}
