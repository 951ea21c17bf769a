//! Numbers of the special-purpose registers that the firmware and the shim touch.

/// A special-purpose register, by its number in `mtspr` and `mfspr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs, reason = "the names are the architecture's own")]
pub enum Spr {
    Dsisr = 18,
    Dar = 19,
    Dec = 22,
    Srr0 = 26,
    Srr1 = 27,
    Tb = 268,
    Sprc = 276,
    Sprd = 277,
    /// Write-only: lower 32 bits of TB.
    Tbwl = 284,
    /// Write-only: upper 32 bits of TB.
    Tbwu = 285,
    /// Write-only: upper 40 bits of TB.
    Tbu40 = 286,
    Pvr = 287,
    Hsprg0 = 304,
    Hsprg1 = 305,
    Hdsisr = 306,
    Hdar = 307,
    Spurr = 308,
    Purr = 309,
    Hdec = 310,
    Rmor = 312,
    Hrmor = 313,
    Hsrr0 = 314,
    Hsrr1 = 315,
    Tfmr = 317,
    Lpcr = 318,
    Lpidr = 319,
    Hmer = 336,
    Hmeer = 337,
    Pcr = 338,
    Heir = 339,
    Ptcr = 464,
    Vtb = 849,
    Hid0 = 1008,
    Pir = 1023,
}
