//! The ring of a hardware thread. Each thread does this for itself: nobody sees another's pages.

use crate::Bus;
use power_registers::xive::thread;

/// Has the calling thread take part, with nothing pending and every interrupt waiting until the OS
/// lowers its priority.
pub fn open_thread(bus: &mut dyn Bus) {
    // What an OS before may have left: a ring of the pool, and something that was signalled.
    bus.load(thread::POOL_OUT);
    bus.load_half_word(thread::PHYSICAL_TAKE);
    bus.store_byte(thread::PHYSICAL_VALID, 0);
    bus.store_word(thread::PHYSICAL, 0);
    bus.store_byte(thread::PHYSICAL_VALID, thread::VALID);
    bus.store_byte(thread::PHYSICAL_PRIORITY, 0);
}
