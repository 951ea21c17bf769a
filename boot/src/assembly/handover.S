/*
 * To the OS, and back from it.
 */
    .section .text.opaline_enter_os, "ax"
    .machine power9
    /*
     * opaline_enter_os(entry, r3, base, opal_entry): never returns. The OS starts in real mode,
     * big-endian, with no interrupt open and no machine check allowed: it has no vectors yet.
     */
    .globl opaline_enter_os
    .type  opaline_enter_os, @function
opaline_enter_os:
    sync
    icbi  0, 3                       /* the loader may have written it as data */
    sync
    isync
    mtspr 314, 3
    li    0, 1
    sldi  0, 0, 63
    li    7, 1
    sldi  7, 7, 60
    or    0, 0, 7                    /* SF and HV, nothing else */
    mtspr 315, 0
    mr    3, 4
    mr    8, 5
    mr    9, 6
    li    4, 0
    li    5, 0
    lis   6, 0x6550                  /* what the reference puts there for loaders */
    ori   6, 6, 0x4150
    li    7, 0
    li    2, 0
    li    13, 0
    hrfid

    .section .text.opaline_come_back, "ax"
    /*
     * opaline_come_back(block): leaves the OPAL call that the OS made, for ever, and waits as at
     * boot, on the thread's first stack.
     */
    .globl opaline_come_back
    .type  opaline_come_back, @function
opaline_come_back:
    mtspr 304, 3
    mr    13, 3
    li    0, 0
    std   0, {block_opal_depth}(13)
    lis   4, {main_stack_top}@h
    ori   4, 4, {main_stack_top}@l
    add   1, 13, 4
    stdu  0, -112(1)
    lis   2, .TOC.@h
    ori   2, 2, .TOC.@l
    ld    3, {block_index}(13)
    bl    {rust_back}
    nop
