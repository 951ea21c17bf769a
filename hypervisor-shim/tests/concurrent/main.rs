//! The core word, and the way through an HMI that stands on it, used by several threads at once: see the
//! crate `concurrency`.

mod attend;
mod word;

use concurrency::{Arc, Place, check, thread};
