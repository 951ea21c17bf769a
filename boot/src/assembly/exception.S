/*
 * Exceptions, guest entry and guest exit. Runs in hypervisor real mode with EE = 0.
 *
 * A frame holds everything that was interrupted; its layout is `Frame` in Rust.
 */
    .section .text.opaline_exception_entry, "ax"
    .machine power9
    .globl opaline_exception_entry
    .type  opaline_exception_entry, @function
    /*
     * In: r13 = block, r12 = vector, HSPRG1 = r13 as interrupted, block: r11, r12, CTR as
     * interrupted; everything else as interrupted.
     */
opaline_exception_entry:
    mfcr  11
    std   11, {block_cr}(13)
    ld    11, {block_in_guest}(13)
    cmpdi 7, 11, 0
    addi  11, 13, {block_guest}
    bne   7, 1f
    /* From the host: a stack of its own, a second one for an exception in an exception. */
    ld    11, {block_depth}(13)
    cmpdi 0, 11, 1
    bgt   opaline_stop
    ld    11, {block_exception_frame}(13)
    blt   1f
    ld    11, {block_crash_frame}(13)
1:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10
    std   \n, {frame_gpr}+\n*8(11)
    .endr
    ld    3, {block_r11}(13)
    std   3, {frame_gpr}+11*8(11)
    ld    3, {block_r12}(13)
    std   3, {frame_gpr}+12*8(11)
    mfspr 3, 305
    std   3, {frame_gpr}+13*8(11)
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   \n, {frame_gpr}+\n*8(11)
    .endr
    mflr  3
    std   3, {frame_lr}(11)
    ld    3, {block_ctr}(13)
    std   3, {frame_ctr}(11)
    ld    3, {block_cr}(13)
    std   3, {frame_cr}(11)
    mfxer 3
    std   3, {frame_xer}(11)
    mfspr 3, 26
    std   3, {frame_srr0}(11)
    mfspr 3, 27
    std   3, {frame_srr1}(11)
    mfspr 3, 314
    std   3, {frame_hsrr0}(11)
    mfspr 3, 315
    std   3, {frame_hsrr1}(11)
    mfspr 3, 19
    std   3, {frame_dar}(11)
    mfspr 3, 18
    std   3, {frame_dsisr}(11)
    mfspr 3, 307
    std   3, {frame_hdar}(11)
    mfspr 3, 306
    std   3, {frame_hdsisr}(11)
    mfspr 3, 339
    std   3, {frame_heir}(11)
    std   12, {frame_vector}(11)
    bne   7, opaline_guest_left

    ld    3, {block_depth}(13)
    addi  3, 3, 1
    std   3, {block_depth}(13)
    mr    3, 11
    mr    4, 13
    mr    31, 11
    mr    30, 13
    li    0, 0
    addi  1, 11, -128
    std   0, 0(1)
    lis   2, .TOC.@h
    ori   2, 2, .TOC.@l
    bl    {rust_exception}
    nop
    /* Handled: back to pc and msr of the frame. */
    mr    11, 31
    mr    13, 30
    ld    3, {block_depth}(13)
    addi  3, 3, -1
    std   3, {block_depth}(13)
    ld    3, {frame_srr0}(11)
    mtspr 26, 3
    ld    3, {frame_srr1}(11)
    mtspr 27, 3
opaline_resume:
    /* r11 = frame: load everything and go, by HSRR0 and HSRR1. */
    ld    3, {frame_pc}(11)
    mtspr 314, 3
    ld    3, {frame_msr}(11)
    mtspr 315, 3
    ld    3, {frame_lr}(11)
    mtlr  3
    ld    3, {frame_ctr}(11)
    mtctr 3
    ld    3, {frame_cr}(11)
    mtcr  3
    ld    3, {frame_xer}(11)
    mtxer 3
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld    \n, {frame_gpr}+\n*8(11)
    .endr
    ld    11, {frame_gpr}+11*8(11)
    hrfid

    /* Third level: nothing can be said any more. r13 = block. */
opaline_stop:
    .long 0x00000200                 /* attn */
    b     opaline_stop

    /*
     * u64 opaline_enter_guest(block): runs the guest in the block's frame until it exits.
     * Out: r3 = vector. The frame holds the guest's state.
     */
    .globl opaline_enter_guest
    .type  opaline_enter_guest, @function
opaline_enter_guest:
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   \n, {block_host_gpr}+(\n-14)*8(3)
    .endr
    std   1, {block_host_r1}(3)
    std   2, {block_host_r2}(3)
    mflr  4
    std   4, {block_host_lr}(3)
    mfcr  4
    std   4, {block_host_cr}(3)
    li    4, 1
    std   4, {block_in_guest}(3)
    addi  11, 3, {block_guest}
    ld    4, {frame_srr0}(11)
    mtspr 26, 4
    ld    4, {frame_srr1}(11)
    mtspr 27, 4
    b     opaline_resume

opaline_guest_left:
    li    4, 0
    std   4, {block_in_guest}(13)
    mr    3, 12
    ld    1, {block_host_r1}(13)
    ld    2, {block_host_r2}(13)
    ld    4, {block_host_lr}(13)
    mtlr  4
    ld    4, {block_host_cr}(13)
    mtcr  4
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld    \n, {block_host_gpr}+(\n-14)*8(13)
    .endr
    blr
