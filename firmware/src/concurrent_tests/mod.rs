//! What the threads of a core share, used by several threads at once: see the crate `concurrency`.

mod events;
mod meeting;
mod signals;

use concurrency::{Arc, Place, check, thread};
