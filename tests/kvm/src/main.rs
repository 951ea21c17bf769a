//! A virtual machine monitor of one vCPU: it starts a guest with an offset to its TB, hears its
//! reports, and says in the end whether time was right. Without a C library, so that nothing but the
//! compiler of the image is needed to build it.
#![cfg_attr(target_arch = "powerpc64", no_std, no_main)]

#[cfg(target_arch = "powerpc64")]
mod guest;
#[cfg(target_arch = "powerpc64")]
mod kvm;
#[cfg(target_arch = "powerpc64")]
mod monitor;
#[cfg(target_arch = "powerpc64")]
mod system;

#[cfg(not(target_arch = "powerpc64"))]
fn main() {
    eprintln!("this runs on Linux on POWER; `cargo xtask linux --kvm` builds and starts it there");
}
