//! The guest: a loop without memory, stack or interrupts.
//!
//! It sets DEC and notes TB + DEC, reads TB and DEC so many times, and makes a hypercall with what it
//! saw. TB is read before and after DEC, so the sum is known from both sides.

use core::arch::global_asm;

/// Number of its hypercall: none that KVM would handle by itself.
pub(crate) const REPORT: u64 = 0xf100;
/// Readings between two reports.
const ROUNDS: u64 = 20_000;

global_asm!(
    "
    .section .rodata.kvm_guest, \"a\"
    .balign 8
    .globl kvm_guest_begin
    .globl kvm_guest_end
kvm_guest_begin:
    # 20 last TB, 21 steps back, 22 largest step, 23 TB + DEC at first, 24 fallen, 25 risen
    mftb    20
    li      21, 0
    li      22, 0
1:
    li      24, 0
    li      25, 0
    lis     9, 0x7fff
    ori     9, 9, 0xffff
    mtspr   22, 9
    mftb    10
    mfspr   11, 22
    extsw   11, 11
    add     23, 10, 11
    li      9, {rounds}
    mtctr   9
2:
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
    # The sum is not above this: has it fallen?
    add     11, 8, 7
    subf    11, 11, 23
    cmpd    11, 24
    ble     7f
    mr      24, 11
7:
    # It is not below that: has it risen?
    add     10, 5, 7
    subf    10, 23, 10
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
    sc      1
    b       1b
kvm_guest_end:
    .text
    ",
    rounds = const ROUNDS,
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
