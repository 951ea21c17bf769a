//! Where things are in memory.

use core::ops::Range;

/// Link address of the image; the same place as the reference, so that tools find it.
pub(crate) const LINK_BASE: u64 = 0x3000_0000;
/// Partition table and the page tables of the guests.
pub(crate) const GUEST_TABLES: u64 = 0x3200_0000;
/// Real address of guest memory; the guest sees it at 0. Aligned as POWER8's RMOR wants it.
pub(crate) const GUEST_MEMORY: u64 = 0x3400_0000;
/// Bytes of guest memory.
pub(crate) const GUEST_MEMORY_SIZE: u64 = 0x20_0000;
/// Buffers from which the shim calls OPAL: outside the firmware's memory, as an OS's are.
pub(crate) const CALL_BUFFERS: u64 = GUEST_MEMORY + GUEST_MEMORY_SIZE;
/// Bytes of them.
pub(crate) const CALL_BUFFERS_SIZE: u64 = 0x1_0000;
/// The tables of the interrupt controller, at the end of what the firmware keeps for itself: not part of
/// the image, nor cleared with its data.
pub(crate) const INTERRUPT_TABLES: u64 = 0x30c0_0000;
/// What the firmware keeps when it has handed over to an OS: image, memory console.
pub(crate) const KEPT: Range<u64> = LINK_BASE
    ..opaline_firmware::memory_console::ADDRESS + opaline_firmware::memory_console::BYTES as u64;
/// The device tree for the OS: its own from the beginning.
pub(crate) const OS_TREE: u64 = KEPT.end;
/// Room for it.
pub(crate) const OS_TREE_SIZE: usize = 0x10_0000;
/// All that belongs to the firmware and the shim: no OPAL pointer may point here.
pub(crate) const OWN: Range<u64> = LINK_BASE..GUEST_MEMORY + GUEST_MEMORY_SIZE;
/// Most bytes of a device tree.
pub(crate) const DEVICE_TREE_LIMIT: usize = 0x10_0000;
