//! Where the field's tools begin after a hang: the pointer at offset 0x80 of the image leads to
//! this descriptor, and it leads to the memory console.

use core::sync::atomic::{AtomicU8, Ordering};

/// Trace buffers that the descriptor has room for; there are none.
const TRACES: usize = 256;

/// The descriptor; all fields are big-endian in memory.
#[derive(Debug)]
#[repr(C)]
pub struct DebugDescriptor {
    eye_catcher: [u8; 8],
    version: u32,
    log_levels: u8,
    state_flags: AtomicU8,
    reserved: [u16; 5],
    memory_console: u64,
    memory_console_tce: u32,
    output_tce: u32,
    input_tce: u32,
    trace_mask: u64,
    trace_count: u32,
    trace_address: [u64; TRACES],
    trace_size: [u32; TRACES],
    trace_tce: [u32; TRACES],
    trace_pir: [u16; TRACES],
}

impl DebugDescriptor {
    const BOOT_COMPLETE: u8 = 0x1;

    /// A descriptor that leads to the memory console at this real address.
    #[must_use]
    pub const fn new(memory_console: u64) -> Self {
        Self {
            eye_catcher: *b"OPALdbug",
            version: 1_u32.to_be(),
            log_levels: crate::logging::MEMORY_LEVEL << 4 | crate::logging::UART_LEVEL,
            state_flags: AtomicU8::new(0),
            reserved: [0; 5],
            memory_console: memory_console.to_be(),
            memory_console_tce: 0,
            output_tce: 0,
            input_tce: 0,
            trace_mask: 0,
            trace_count: 0,
            trace_address: [0; TRACES],
            trace_size: [0; TRACES],
            trace_tce: [0; TRACES],
            trace_pir: [0; TRACES],
        }
    }

    /// Marks that the firmware has started up.
    pub fn set_boot_complete(&self) {
        self.state_flags
            .fetch_or(Self::BOOT_COMPLETE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_console::ADDRESS;
    use core::mem::offset_of;

    #[test]
    fn descriptor_layout_is_the_one_that_tools_read() {
        assert_eq!(offset_of!(DebugDescriptor, version), 8);
        assert_eq!(offset_of!(DebugDescriptor, log_levels), 12);
        assert_eq!(offset_of!(DebugDescriptor, state_flags), 13);
        assert_eq!(offset_of!(DebugDescriptor, memory_console), 24);
        assert_eq!(offset_of!(DebugDescriptor, memory_console_tce), 32);
        assert_eq!(offset_of!(DebugDescriptor, trace_mask), 48);
        assert_eq!(offset_of!(DebugDescriptor, trace_count), 56);
        assert_eq!(offset_of!(DebugDescriptor, trace_address), 64);
        assert_eq!(offset_of!(DebugDescriptor, trace_size), 64 + 2048);
        assert_eq!(offset_of!(DebugDescriptor, trace_pir), 64 + 4096);
        let descriptor = DebugDescriptor::new(ADDRESS);
        assert_eq!(
            descriptor.memory_console.to_ne_bytes(),
            [0, 0, 0, 0, 0x31, 0, 0, 0]
        );
        descriptor.set_boot_complete();
        assert_eq!(descriptor.state_flags.load(Ordering::Relaxed), 1);
    }
}
