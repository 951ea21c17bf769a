/*
 * The OPAL entry: the one address that the OS calls, in real mode, big-endian, EE = 0.
 *
 * In:  r0 = token, r3-r10 = arguments, r1 = the OS's stack (any address), r13 = the OS's own,
 *      LR = return address. r2 is not trusted.
 * Out: r3 = result. Preserves r1, r2, r13-r31, CR2-4, LR. Clobbers r0, r4-r12, CTR, XER, CR.
 * Each thread has a stack of its own, and a second one for a call inside a call.
 */
    .section .text.opaline_opal_entry, "ax"
    .machine power9
    .globl opaline_opal_entry
    .type  opaline_opal_entry, @function
    .balign 128
opaline_opal_entry:
    mfmsr 11
    andi. 12, 11, 0x8031             /* EE, IR, DR, LE */
    bne-  2f
    cmpldi 0, {check_token}
    beq-  4f
    mfspr 11, 1023
    cmpldi 11, {pir_limit}
    bge-  1f
    lis   12, {pir_table}@h
    ori   12, 12, {pir_table}@l
    sldi  11, 11, 3
    ldx   11, 12, 11                 /* the block of this PIR */
    cmpdi 11, 0
    beq-  1f
    ld    12, {block_opal_depth}(11)
    cmpldi 12, 2
    bge-  1f
    addi  12, 12, 1
    std   12, {block_opal_depth}(11)
    cmpldi 12, 1
    ld    12, {block_opal_frame}(11)
    beq   3f
    ld    12, {block_opal_nested_frame}(11)
3:  /* r12 = call frame: back chain, saves, then the call as Rust sees it */
    std   1, {call_r1}(12)
    std   2, {call_r2}(12)
    std   13, {call_r13}(12)
    mflr  1
    std   1, {call_lr}(12)
    mfcr  1
    std   1, {call_cr}(12)
    std   11, {call_block}(12)
    std   0, {call_token}(12)
    std   3, {call_arguments}+0(12)
    std   4, {call_arguments}+8(12)
    std   5, {call_arguments}+16(12)
    std   6, {call_arguments}+24(12)
    std   7, {call_arguments}+32(12)
    std   8, {call_arguments}+40(12)
    std   9, {call_arguments}+48(12)
    std   10, {call_arguments}+56(12)
    addi  1, 12, -128
    li    0, 0
    std   0, 0(1)
    lis   2, .TOC.@h
    ori   2, 2, .TOC.@l
    mr    3, 12
    mr    4, 11
    bl    {rust_opal}
    nop
    addi  12, 1, 128
    ld    11, {call_block}(12)
    ld    4, {block_opal_depth}(11)
    addi  4, 4, -1
    std   4, {block_opal_depth}(11)
    ld    0, {call_lr}(12)
    mtlr  0
    ld    0, {call_cr}(12)
    mtcr  0
    ld    13, {call_r13}(12)
    ld    2, {call_r2}(12)
    ld    1, {call_r1}(12)
    blr
1:  li    3, {internal_error}
    blr
2:  li    3, {wrong_state}
    blr
4:  /* OPAL_CHECK_TOKEN, a quarter of all calls of an OS that boots: from a table, with no state. */
    cmpldi 3, {token_limit}
    bge-  5f
    lis   12, {known_tokens}@h
    ori   12, 12, {known_tokens}@l
    lbzx  3, 12, 3
    blr
5:  li    3, 0
    blr

/*
 * i64 opaline_call_opal(call: *mut OutgoingCall): calls the firmware exactly as an OS does.
 * r13 and r14-r31 carry patterns across the call; any that came back changed is counted in the
 * call's `clobbered` word.
 */
    .section .text.opaline_call_opal, "ax"
    .globl opaline_call_opal
    .type  opaline_call_opal, @function
opaline_call_opal:
    mflr  0
    std   0, 16(1)
    stdu  1, -304(1)
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   \n, 112+(\n-13)*8(1)
    .endr
    mfcr  0
    std   0, 96(1)
    std   2, 24(1)
    std   3, 104(1)
    mr    12, 3
    ld    0, {out_token}(12)
    ld    11, {out_entry}(12)
    mtctr 11
    ld    2, {out_base}(12)
    ld    3, {out_arguments}+0(12)
    ld    4, {out_arguments}+8(12)
    ld    5, {out_arguments}+16(12)
    ld    6, {out_arguments}+24(12)
    ld    7, {out_arguments}+32(12)
    ld    8, {out_arguments}+40(12)
    ld    9, {out_arguments}+48(12)
    ld    10, {out_arguments}+56(12)
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    li    \n, 0x5a00 + \n
    .endr
    bctrl
    li    4, 0
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    cmpdi \n, 0x5a00 + \n
    beq   1f
    addi  4, 4, 1
1:
    .endr
    ld    5, 104(1)
    ld    6, {out_base}(5)
    cmpd  2, 6
    beq   2f
    addi  4, 4, 1
2:  std   4, {out_clobbered}(5)
    ld    2, 24(1)
    ld    0, 96(1)
    mtcr  0
    .irp n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld    \n, 112+(\n-13)*8(1)
    .endr
    addi  1, 1, 304
    ld    0, 16(1)
    mtlr  0
    blr
