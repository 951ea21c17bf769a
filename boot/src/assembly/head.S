/*
 * The first bytes of the image. They are entered at 0x10 by all threads at once, at real address
 * 0 (or wherever the image was loaded), big-endian, MMU off, r3 = flat device tree, MSR = SF | HV.
 *
 * 0x010  entry
 * 0x080  pointer to the debug descriptor
 * 0x100  exception vectors, which stay at real address 0
 *
 * The first thread to draw number 0 moves the image to its link address and clears .bss; the
 * others wait. Then each thread takes its block and stack by its number and enters Rust.
 */
    .section .head, "ax"
    .machine power9
    .globl opaline_head
opaline_head:
    trap
    .org 0x10
    b     opaline_start
    .org 0x80
    .quad {debug_descriptor}

    /*
     * One vector. r13 goes to HSPRG1, the thread's block comes from HSPRG0.
     * Clobbers nothing that is not saved. Five instructions: fits the 32-byte slots.
     */
    .macro VECTOR at
    .org \at
    mtspr 305, 13
    mfspr 13, 304
    std   12, {block_r12}(13)
    li    12, \at
    b     opaline_vector_common
    .endm

    VECTOR 0x100
    VECTOR 0x200
    VECTOR 0x300
    VECTOR 0x380
    VECTOR 0x400
    VECTOR 0x480
    VECTOR 0x500
    VECTOR 0x600
    VECTOR 0x700
    VECTOR 0x800
    VECTOR 0x900
    VECTOR 0x980
    VECTOR 0xa00
    VECTOR 0xb00
    VECTOR 0xc00
    VECTOR 0xd00
    VECTOR 0xe00
    VECTOR 0xe20
    VECTOR 0xe40
    VECTOR 0xe60
    VECTOR 0xe80
    VECTOR 0xea0
    VECTOR 0xec0
    VECTOR 0xee0
    VECTOR 0xf00
    VECTOR 0xf20
    VECTOR 0xf40
    VECTOR 0xf60
    VECTOR 0xf80
    VECTOR 0xfa0
    VECTOR 0x1000
    VECTOR 0x1100
    VECTOR 0x1200
    VECTOR 0x1300
    VECTOR 0x1400
    VECTOR 0x1500
    VECTOR 0x1600
    VECTOR 0x1700
    VECTOR 0x1800
    VECTOR 0x1900
    VECTOR 0x1a00
    VECTOR 0x1b00
    VECTOR 0x1c00
    VECTOR 0x1d00
    VECTOR 0x1e00
    VECTOR 0x1f00
    /* System call vectored (scv) of POWER9: each level has 32 bytes from 0x3000; level 0 only. */

    .org 0x2000
    /* Runs at real address 0x2000; goes on at the link address. */
opaline_vector_common:
    std   11, {block_r11}(13)
    mfctr 11
    std   11, {block_ctr}(13)
    lis   11, opaline_exception_entry@h
    ori   11, 11, opaline_exception_entry@l
    mtctr 11
    bctr

    .org 0x3000
    mtspr 305, 13
    mfspr 13, 304
    std   12, {block_r12}(13)
    li    12, 0x3000
    b     opaline_vector_common

    .org 0x3100
opaline_start:
    mr    15, 3                      /* device tree */
    bcl   20, 31, 1f
1:  mflr  31
    addi  31, 31, opaline_head - 1b  /* where we run */
    lis   30, __link_base@h
    ori   30, 30, __link_base@l      /* where we belong */
    /* Draw a number; the counter lives in the copy that was loaded. */
    addi  4, 31, thread_counter - opaline_head
2:  lwarx 14, 0, 4
    addi  6, 14, 1
    stwcx. 6, 0, 4
    bne-  2b
    cmpwi 14, 0
    bne   wait_for_move

    /* Number 0: move the image, line by line made visible to instruction fetch. */
    cmpd  31, 30
    beq   4f
    lis   29, __image_doublewords@h
    ori   29, 29, __image_doublewords@l
    mtctr 29
    addi  28, 31, -8
    addi  27, 30, -8
3:  ldu   0, 8(28)
    stdu  0, 8(27)
    bdnz  3b
    lis   29, __image_lines@h
    ori   29, 29, __image_lines@l
    mtctr 29
    mr    27, 30
31: dcbst 0, 27
    sync
    icbi  0, 27
    addi  27, 27, 128
    bdnz  31b
    sync
    isync
4:  /* Clear .bss: blocks, stacks and all else. */
    lis   29, __bss_doublewords@h
    ori   29, 29, __bss_doublewords@l
    mtctr 29
    lis   28, __bss_start@h
    ori   28, 28, __bss_start@l
    addi  28, 28, -8
    li    0, 0
5:  stdu  0, 8(28)
    bdnz  5b
    sync
    li    0, 1
    stw   0, (move_done - opaline_head)(31)
    b     go_up

wait_for_move:
6:  or    1, 1, 1                    /* low priority */
    lwz   0, (move_done - opaline_head)(31)
    cmpwi 0, 0
    beq   6b
    or    2, 2, 2                    /* medium priority */
    isync

go_up:
    addi  28, 30, (at_link_address - opaline_head)
    mtctr 28
    bctr
at_link_address:
    /* r14 = number, r15 = device tree. Threads beyond the last block wait for ever. */
    cmplwi 14, {max_threads}
    blt   8f
7:  or    1, 1, 1
    b     7b
8:  lis   4, {thread_areas}@h
    ori   4, 4, {thread_areas}@l
    lis   5, {area_size}@h
    ori   5, 5, {area_size}@l
    mulld 5, 5, 14
    add   16, 4, 5                   /* this thread's area; the block is its start */
    mtspr 304, 16
    lis   5, {main_stack_top}@h
    ori   5, 5, {main_stack_top}@l
    add   1, 16, 5
    /* Number 0 starts the machine up: it needs more room. */
    cmpldi 14, 0
    bne   10f
    lis   1, {boot_stack}@h
    ori   1, 1, {boot_stack}@l
    lis   5, {boot_stack_top}@h
    ori   5, 5, {boot_stack_top}@l
    add   1, 1, 5
10: lis   2, .TOC.@h
    ori   2, 2, .TOC.@l
    mr    13, 16
    /* From here on a machine check is an exception, not a checkstop: ME and RI on. */
    li    5, 0x1002
    mfmsr 6
    or    6, 6, 5
    mtmsrd 6
    isync
    li    0, 0
    stdu  0, -112(1)
    mr    3, 14
    mr    4, 15
    cmpldi 14, 0
    bne   11f
    bl    {rust_boot}
    nop
11: bl    {rust_wait}
    nop
9:  b     9b

    .balign 8
thread_counter: .long 0
move_done:      .long 0
