/*
 * Entry, vectors, and the call of the firmware.
 *
 * HSPRG0 holds the block of a thread; the firmware leaves it alone, as it must for an OS.
 */
    .section .head, "ax"
    .machine power8
    .globl payload_head
payload_head:
    /* r3 = device tree, r8 = OPAL base, r9 = OPAL entry; MSR = SF and HV. */
    mr    29, 3
    mr    30, 8
    mr    31, 9
    lis   4, __bss_doublewords@h
    ori   4, 4, __bss_doublewords@l
    mtctr 4
    lis   5, __bss_start@h
    ori   5, 5, __bss_start@l
    addi  5, 5, -8
    li    0, 0
1:  stdu  0, 8(5)
    bdnz  1b
    /* The vectors go to real address 0x100, line by line made visible to instruction fetch. */
    lis   4, payload_vectors@h
    ori   4, 4, payload_vectors@l
    addi  4, 4, -8
    li    5, 0x100 - 8
    li    6, {vectors_bytes} / 8
    mtctr 6
2:  ldu   0, 8(4)
    stdu  0, 8(5)
    bdnz  2b
    li    5, 0
    li    6, (0x100 + {vectors_bytes}) / 128
    mtctr 6
3:  dcbst 0, 5
    sync
    icbi  0, 5
    addi  5, 5, 128
    bdnz  3b
    sync
    isync
    lis   13, {first_block}@h
    ori   13, 13, {first_block}@l
    lis   12, 10f@h
    ori   12, 12, 10f@l
    b     payload_go
10: mr    3, 29
    mr    4, 30
    mr    5, 31
    bl    {main}
    nop

    /* Another thread: r3 = its PIR. */
    .globl payload_secondary
payload_secondary:
    lis   4, {next_block}@h
    ori   4, 4, {next_block}@l
    ld    13, 0(4)
    lis   12, 11f@h
    ori   12, 12, 11f@l
    b     payload_go
11: mfspr 3, 304
    bl    {thread}
    nop

    /* To r12, with the block in r13: a stack, the TOC, machine checks allowed. */
payload_go:
    mtspr 304, 13
    ld    1, {stack}(13)
    cmpdi 1, 0
    bne   1f
    lis   1, {stacks}@h
    ori   1, 1, {stacks}@l
    addis 1, 1, {stack_bytes} >> 16
1:  li    0, 0
    stdu  0, -128(1)
    lis   2, .TOC.@h
    ori   2, 2, .TOC.@l
    mfmsr 0
    ori   0, 0, 0x1002               /* ME, RI */
    mtspr 27, 0
    mtspr 26, 12
    rfid

    /* Whatever comes: into the block, and back to the caller of the firmware. */
payload_exception:
    std   12, {exception}(13)
    mfspr 11, 26
    std   11, {srr0}(13)
    mfspr 11, 314
    std   11, {hsrr0}(13)
    ld    11, {in_call}(13)
    mfmsr 0
    ori   0, 0, 0x1002
    mtspr 27, 0
    lis   12, payload_resume@h
    ori   12, 12, payload_resume@l
    cmpdi 11, 0
    bne   1f
    lis   12, 2f@h
    ori   12, 12, 2f@l
1:  mtspr 26, 12
    rfid
2:  ld    1, {stack}(13)
    cmpdi 1, 0
    bne   1f
    lis   1, {stacks}@h
    ori   1, 1, {stacks}@l
    addis 1, 1, {stack_bytes} >> 16
1:  li    0, 0
    stdu  0, -128(1)
    lis   2, .TOC.@h
    ori   2, 2, .TOC.@l
    mr    3, 13
    bl    {fault}
    nop

    /*
     * payload_call(block): calls the firmware exactly as an OS does, with what the block says. What
     * must survive carries patterns; what came back changed is counted.
     */
    .section .text.payload_call, "ax"
    .globl payload_call
    .type  payload_call, @function
payload_call:
    mflr  0
    std   0, {saved}+0(3)
    mfcr  0
    std   0, {saved}+8(3)
    std   1, {saved}+16(3)
    std   2, {saved}+24(3)
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   \n, {saved}+32+(\n-13)*8(3)
    .endr
    mtspr 304, 3
    li    0, 0
    std   0, {exception}(3)
    li    0, 1
    std   0, {in_call}(3)
    ld    0, {token}(3)
    ld    12, {entry}(3)
    mtctr 12
    ld    2, {base}(3)
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    li    \n, 0x5a00 + \n
    .endr
    lis   11, 0x0055
    ori   11, 11, 0x5000
    mtcrf 0x38, 11                   /* CR2 to CR4 */
    ld    12, {msr}(3)
    cmpdi 12, 0
    beq+  1f
    ori   12, 12, 2                  /* RI */
    mtmsrd 12, 1                     /* EE open */
1:  ld    10, {arguments}+56(3)
    ld    9, {arguments}+48(3)
    ld    8, {arguments}+40(3)
    ld    7, {arguments}+32(3)
    ld    6, {arguments}+24(3)
    ld    5, {arguments}+16(3)
    ld    4, {arguments}+8(3)
    ld    3, {arguments}+0(3)
    bctrl
    mfspr 12, 304
    std   3, {result}(12)
    li    4, 0
    mfcr  5
    rlwinm 5, 5, 0, 8, 19
    lis   6, 0x0055
    ori   6, 6, 0x5000
    cmpd  5, 6
    beq   1f
    addi  4, 4, 1
1:
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    cmpdi \n, 0x5a00 + \n
    beq   1f
    addi  4, 4, 1
1:
    .endr
    ld    5, {saved}+16(12)
    cmpd  1, 5
    beq   1f
    addi  4, 4, 1
1:  std   4, {clobbered}(12)
    ld    4, {msr}(12)
    cmpdi 4, 0
    beq+  payload_back
    li    4, 2
    mtmsrd 4, 1                      /* EE closed */
    b     payload_back
payload_resume:
    mfspr 12, 304
payload_back:
    li    0, 0
    std   0, {in_call}(12)
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld    \n, {saved}+32+(\n-13)*8(12)
    .endr
    ld    2, {saved}+24(12)
    ld    1, {saved}+16(12)
    ld    0, {saved}+8(12)
    mtcr  0
    ld    0, {saved}+0(12)
    mtlr  0
    blr

    /* A firmware that does nothing. */
    .globl payload_nothing
    .type  payload_nothing, @function
payload_nothing:
    blr

    /* A debugger stops the machine at these. */
    .globl payload_strike
    .type  payload_strike, @function
payload_strike:
    blr
    .globl payload_mended
    .type  payload_mended, @function
payload_mended:
    blr

    /* Copied to real address 0x100; each vector has 32 bytes. */
    .section .vectors, "ax"
    .balign 32
payload_vectors:
    .set  at, 0x100
    .rept {vectors_bytes} / 32
    mtspr 305, 13
    mfspr 13, 304
    li    12, at
    lis   11, payload_exception@h
    ori   11, 11, payload_exception@l
    mtctr 11
    bctr
    nop
    .set  at, at + 32
    .endr
