//! Says whether coroutines exist here: not under Miri, and not on every architecture.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(coroutines)");
    let value = |name: &str| std::env::var(name).unwrap_or_default();
    // As in the dependencies of Cargo.toml.
    let known = ["x86_64", "aarch64", "riscv64"].contains(&value("CARGO_CFG_TARGET_ARCH").as_str());
    if known
        && value("CARGO_CFG_TARGET_FAMILY") == "unix"
        && std::env::var("CARGO_CFG_MIRI").is_err()
    {
        println!("cargo::rustc-cfg=coroutines");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
