/*
 * The guest: real code in guest state, position-independent, copied to guest real address 0.
 * It has no memory but its code: its registers are its report.
 *
 * r14 largest step allowed     r20 checks             r24 largest step seen
 * r15 largest skew allowed     r21 failures           r25 largest skew seen
 * r16 DEC expires at this TB   r22 first failure: before
 * r18 DEC period               r23 first failure: after
 * r17 expected hcall result    r26 last reading of TB
 * r19 checks between hcalls, less one (a power of two)
 * r8-r11 and r13 belong to the DEC handler.
 */
    .section .rodata.opaline_guest, "a"
    .machine power8
    .balign 64
    .globl opaline_guest_start, opaline_guest_end
opaline_guest_start:
    b     1f
    .org opaline_guest_start + 0x900
    /* Decrementer: start a new period. The rest of the machine keeps out of r16. It comes between
       any two instructions, so also between a comparison and its branch: CR is kept. */
    mfcr  13
    mfspr 8, 268
    add   16, 8, 18
    mtspr 22, 18
    /* TB may have moved on between both: take the expiry from what DEC and TB say now. */
2:  mfspr 8, 268
    mfspr 9, 22
    mfspr 10, 268
    extsw 9, 9
    add   16, 8, 9
    subf  11, 8, 10
    cmpldi 11, 2048
    bgt   2b
    mtcr  13
    rfid
    .org opaline_guest_start + 0x1000
1:  mtspr 22, 18
3:  mfspr 3, 268
    mfspr 4, 22
    mfspr 5, 268
    extsw 4, 4
    subf  6, 3, 5
    cmpldi 6, 2048
    bgt   3b
    add   16, 3, 4
    mr    26, 5
    li    27, 0
    /* Interrupts open from here on. */
    mfmsr 3
    ori   3, 3, 0x8000
    mtmsrd 3, 1
opaline_guest_loop:
    mr    7, 16
    mfspr 3, 268
    mfspr 4, 22
    mfspr 5, 268
    cmpd  7, 16
    bne   opaline_guest_loop         /* a new period began in between */
    extsw 4, 4
    addi  20, 20, 1
    /* TB never goes back and never jumps: 0 <= step <= r14. */
    subf  6, 26, 3
    cmpld 6, 14
    ble   4f
    mr    28, 26
    mr    29, 3
    bl    5f
    b     6f
4:  cmpld 6, 24
    ble   6f
    mr    24, 6
6:  subf  6, 3, 5
    cmpld 6, 14
    ble   7f
    mr    28, 3
    mr    29, 5
    bl    5f
7:  mr    26, 5
    /* TB and DEC agree: -(r5 - r3) - r15 <= r3 + DEC - r7 <= r15. */
    add   30, 3, 4
    subf  12, 7, 30                  /* off; r16 may be of a new period by now */
    add   31, 12, 6                  /* off + width */
    cmpdi 12, 0
    bgt   8f
    cmpdi 31, 0
    bge   11f
    neg   12, 31
8:  cmpld 12, 25
    ble   9f
    mr    25, 12
9:  cmpld 12, 15
    ble   11f
    mr    28, 7
    mr    29, 30
    bl    5f
11: addi  27, 27, 1
    and.  0, 27, 19
    bne   opaline_guest_loop
    li    3, 1
    .long 0x44000022                 /* sc 1: hcall */
    cmpd  3, 17
    beq   opaline_guest_loop
    mr    28, 17
    mr    29, 3
    bl    5f
    b     opaline_guest_loop
    /* A failure: keep the first pair (r28, r29). */
5:  addi  21, 21, 1
    cmpdi 21, 1
    bnelr
    mr    22, 28
    mr    23, 29
    blr
opaline_guest_end:
