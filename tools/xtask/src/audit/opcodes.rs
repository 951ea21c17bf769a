//! Which POWER instructions touch floating-point, vector or VSX registers.
//!
//! The OS calls the firmware with its own values live in those registers and with the units
//! switched off, so a single such instruction is a fault or a silent corruption.

use std::fmt;

/// Why an instruction must not be in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// Floating point, decimal included.
    Float,
    /// Altivec.
    Vector,
    /// VSX, matrix units included.
    Vsx,
    /// A prefixed instruction: POWER10 only.
    Prefixed,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "floating-point",
            Self::Vector => "vector",
            Self::Vsx => "VSX",
            Self::Prefixed => "prefixed (POWER10)",
        })
    }
}

/// Extended opcodes of primary opcode 31 that load, store or move floating-point registers.
const FLOAT_31: &[u32] = &[
    535, 567, 599, 631, 663, 695, 727, 759, 791, 855, 887, 919, 983,
];
/// The same for vector registers: lvebx to stvxl, lvsl, lvsr, and the data streams.
const VECTOR_31: &[u32] = &[
    6, 7, 38, 39, 71, 103, 135, 167, 199, 231, 342, 359, 374, 487, 822,
];
/// The same for VSX registers: lx*, stx* and the moves between general and VSX registers.
const VSX_31: &[u32] = &[
    12, 13, 45, 76, 77, 109, 140, 141, 173, 205, 237, 268, 269, 301, 332, 333, 364, 396, 397, 429,
    461, 524, 588, 652, 716, 780, 781, 812, 813, 844, 876, 908, 909, 940, 941, 972,
    1004, // memory
    51, 115, 179, 211, 243, 307, 403, 435, // mfvsrd, mfvsrwz, mtvsrd, mtvsrwa, mtvsrwz, ...
    177, // xxmtacc, xxmfacc, xxsetaccz
];

/// What is wrong with an instruction word; `None` for everything that general registers do.
pub(crate) fn forbidden(word: u32) -> Option<Forbidden> {
    match word >> 26 {
        1 => Some(Forbidden::Prefixed),
        // maddhd, maddhdu and maddld are the only ones here that use general registers.
        4 => (!matches!(word & 0x3f, 48 | 49 | 51)).then_some(Forbidden::Vector),
        6 | 60 => Some(Forbidden::Vsx),
        31 => {
            let extended = word >> 1 & 0x3ff;
            if FLOAT_31.contains(&extended) {
                Some(Forbidden::Float)
            } else if VECTOR_31.contains(&extended) {
                Some(Forbidden::Vector)
            } else {
                VSX_31.contains(&extended).then_some(Forbidden::Vsx)
            }
        }
        48..=55 | 59 | 63 => Some(Forbidden::Float),
        // lfdp is 0; lxsd and lxssp are 2 and 3.
        57 => Some(if word & 3 == 0 {
            Forbidden::Float
        } else {
            Forbidden::Vsx
        }),
        // stfdp is 0; lxv, stxsd, stxssp and stxv are the others.
        61 => Some(if word & 3 == 0 {
            Forbidden::Float
        } else {
            Forbidden::Vsx
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings that GNU as gives for these instructions.
    const KNOWN: &[(u32, &str, Option<Forbidden>)] = &[
        (0xc023_0008, "lfs 1,8(3)", Some(Forbidden::Float)),
        (0xc423_0008, "lfsu 1,8(3)", Some(Forbidden::Float)),
        (0xc823_0008, "lfd 1,8(3)", Some(Forbidden::Float)),
        (0xcc23_0008, "lfdu 1,8(3)", Some(Forbidden::Float)),
        (0xd023_0008, "stfs 1,8(3)", Some(Forbidden::Float)),
        (0xd423_0008, "stfsu 1,8(3)", Some(Forbidden::Float)),
        (0xd823_0008, "stfd 1,8(3)", Some(Forbidden::Float)),
        (0xdc23_0008, "stfdu 1,8(3)", Some(Forbidden::Float)),
        (0x7c23_242e, "lfsx 1,3,4", Some(Forbidden::Float)),
        (0x7c23_246e, "lfsux 1,3,4", Some(Forbidden::Float)),
        (0x7c23_24ae, "lfdx 1,3,4", Some(Forbidden::Float)),
        (0x7c23_24ee, "lfdux 1,3,4", Some(Forbidden::Float)),
        (0x7c23_26ae, "lfiwax 1,3,4", Some(Forbidden::Float)),
        (0x7c23_26ee, "lfiwzx 1,3,4", Some(Forbidden::Float)),
        (0x7c23_252e, "stfsx 1,3,4", Some(Forbidden::Float)),
        (0x7c23_256e, "stfsux 1,3,4", Some(Forbidden::Float)),
        (0x7c23_25ae, "stfdx 1,3,4", Some(Forbidden::Float)),
        (0x7c23_25ee, "stfdux 1,3,4", Some(Forbidden::Float)),
        (0x7c23_27ae, "stfiwx 1,3,4", Some(Forbidden::Float)),
        (0xe443_0010, "lfdp 2,16(3)", Some(Forbidden::Float)),
        (0xf443_0010, "stfdp 2,16(3)", Some(Forbidden::Float)),
        (0x7c43_262e, "lfdpx 2,3,4", Some(Forbidden::Float)),
        (0x7c43_272e, "stfdpx 2,3,4", Some(Forbidden::Float)),
        (0xfc22_182a, "fadd 1,2,3", Some(Forbidden::Float)),
        (0xec22_182a, "fadds 1,2,3", Some(Forbidden::Float)),
        (0xfc20_1090, "fmr 1,2", Some(Forbidden::Float)),
        (0xfc20_165c, "fctid 1,2", Some(Forbidden::Float)),
        (0xfc20_048e, "mffs 1", Some(Forbidden::Float)),
        (0xfc02_158e, "mtfsf 1,2", Some(Forbidden::Float)),
        (0xfc01_1000, "fcmpu 0,1,2", Some(Forbidden::Float)),
        (0xec22_1804, "dadd 1,2,3", Some(Forbidden::Float)),
        (0xfc44_3004, "daddq 2,4,6", Some(Forbidden::Float)),
        (0xfc22_20fa, "fmadd 1,2,3,4", Some(Forbidden::Float)),
        (0xfc22_1f8c, "fmrgew 1,2,3", Some(Forbidden::Float)),
        (0xfc22_1808, "xsaddqp 1,2,3", Some(Forbidden::Float)),
        (0x7c40_18ce, "lvx 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_1ace, "lvxl 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_180e, "lvebx 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_184e, "lvehx 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_188e, "lvewx 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_180c, "lvsl 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_184c, "lvsr 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_19ce, "stvx 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_1bce, "stvxl 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_190e, "stvebx 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_194e, "stvehx 2,0,3", Some(Forbidden::Vector)),
        (0x7c40_198e, "stvewx 2,0,3", Some(Forbidden::Vector)),
        (0x1043_2000, "vaddubm 2,3,4", Some(Forbidden::Vector)),
        (0x1043_216b, "vperm 2,3,4,5", Some(Forbidden::Vector)),
        (0x1041_030c, "vspltisb 2,1", Some(Forbidden::Vector)),
        (0x1043_222c, "vsldoi 2,3,4,8", Some(Forbidden::Vector)),
        (0x1040_0604, "mfvscr 2", Some(Forbidden::Vector)),
        (0x1000_1644, "mtvscr 2", Some(Forbidden::Vector)),
        (0x1043_24c8, "vpmsumd 2,3,4", Some(Forbidden::Vector)),
        (0x1043_2508, "vcipher 2,3,4", Some(Forbidden::Vector)),
        (0x7c40_1e99, "lxvd2x 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1e19, "lxvw4x 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1a99, "lxvdsx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1c99, "lxsdx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1c19, "lxsspx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1899, "lxsiwax 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1819, "lxsiwzx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1f99, "stxvd2x 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1f19, "stxvw4x 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1d99, "stxsdx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1d19, "stxsspx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1919, "stxsiwx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1a19, "lxvx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1b19, "stxvx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1e59, "lxvh8x 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1ed9, "lxvb16x 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1f59, "stxvh8x 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1fd9, "stxvb16x 34,0,3", Some(Forbidden::Vsx)),
        (0x7c43_221b, "lxvl 34,3,4", Some(Forbidden::Vsx)),
        (0x7c43_225b, "lxvll 34,3,4", Some(Forbidden::Vsx)),
        (0x7c43_231b, "stxvl 34,3,4", Some(Forbidden::Vsx)),
        (0x7c43_235b, "stxvll 34,3,4", Some(Forbidden::Vsx)),
        (0x7c40_1ad9, "lxvwsx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1e1b, "lxsibzx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1e5b, "lxsihzx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1f1b, "stxsibx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_1f5b, "stxsihx 34,0,3", Some(Forbidden::Vsx)),
        (0xf443_0009, "lxv 34,0(3)", Some(Forbidden::Vsx)),
        (0xf443_000d, "stxv 34,0(3)", Some(Forbidden::Vsx)),
        (0xf443_0001, "lxv 2,0(3)", Some(Forbidden::Vsx)),
        (0xf443_0005, "stxv 2,0(3)", Some(Forbidden::Vsx)),
        (0xe443_000a, "lxsd 2,8(3)", Some(Forbidden::Vsx)),
        (0xe443_000b, "lxssp 2,8(3)", Some(Forbidden::Vsx)),
        (0xf443_000a, "stxsd 2,8(3)", Some(Forbidden::Vsx)),
        (0xf443_000b, "stxssp 2,8(3)", Some(Forbidden::Vsx)),
        (0x7c43_0067, "mfvsrd 3,34", Some(Forbidden::Vsx)),
        (0x7c43_00e7, "mfvsrwz 3,34", Some(Forbidden::Vsx)),
        (0x7c43_0167, "mtvsrd 34,3", Some(Forbidden::Vsx)),
        (0x7c43_01a7, "mtvsrwa 34,3", Some(Forbidden::Vsx)),
        (0x7c43_01e7, "mtvsrwz 34,3", Some(Forbidden::Vsx)),
        (0x7c43_0267, "mfvsrld 3,34", Some(Forbidden::Vsx)),
        (0x7c43_2367, "mtvsrdd 34,3,4", Some(Forbidden::Vsx)),
        (0x7c43_0327, "mtvsrws 34,3", Some(Forbidden::Vsx)),
        (0xf001_1490, "xxlor 0,1,2", Some(Forbidden::Vsx)),
        (0xf042_14d7, "xxlxor 34,34,34", Some(Forbidden::Vsx)),
        (0xf043_2307, "xvadddp 34,35,36", Some(Forbidden::Vsx)),
        (0xf043_2057, "xxpermdi 34,35,36,0", Some(Forbidden::Vsx)),
        (0xf022_1900, "xsadddp 1,2,3", Some(Forbidden::Vsx)),
        (0xf040_02d1, "xxspltib 34,0", Some(Forbidden::Vsx)),
        (0x1863_0020, "lxvp 34,32(3)", Some(Forbidden::Vsx)),
        (0x1863_0021, "stxvp 34,32(3)", Some(Forbidden::Vsx)),
        (0x7c63_229a, "lxvpx 34,3,4", Some(Forbidden::Vsx)),
        (0x7c63_239a, "stxvpx 34,3,4", Some(Forbidden::Vsx)),
        (0x7c40_181b, "lxvrbx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_185b, "lxvrhx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_189b, "lxvrwx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_18db, "lxvrdx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_191b, "stxvrbx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_195b, "stxvrhx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_199b, "stxvrwx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c40_19db, "stxvrdx 34,0,3", Some(Forbidden::Vsx)),
        (0x7c01_0162, "xxmtacc 0", Some(Forbidden::Vsx)),
        (0x7c00_0162, "xxmfacc 0", Some(Forbidden::Vsx)),
        (0x7c03_0162, "xxsetaccz 0", Some(Forbidden::Vsx)),
        (0x7c64_2a14, "add 3,4,5", None),
        (0x3864_fff8, "addi 3,4,-8", None),
        (0x3c62_0001, "addis 3,2,1", None),
        (0x6000_0000, "ori 0,0,0", None),
        (0x7c21_0b78, "or 1,1,1", None),
        (0x7c42_1378, "or 2,2,2", None),
        (0xe861_0008, "ld 3,8(1)", None),
        (0xe861_0009, "ldu 3,8(1)", None),
        (0xe861_000a, "lwa 3,8(1)", None),
        (0xf861_0008, "std 3,8(1)", None),
        (0xf821_ff91, "stdu 1,-112(1)", None),
        (0xf883_0012, "stq 4,16(3)", None),
        (0xe083_0010, "lq 4,16(3)", None),
        (0xbba1_0008, "lmw 29,8(1)", None),
        (0xbfa1_0008, "stmw 29,8(1)", None),
        (0x8864_0000, "lbz 3,0(4)", None),
        (0xa064_0000, "lhz 3,0(4)", None),
        (0x8064_0000, "lwz 3,0(4)", None),
        (0x9864_0000, "stb 3,0(4)", None),
        (0xb064_0000, "sth 3,0(4)", None),
        (0x9064_0000, "stw 3,0(4)", None),
        (0x7c7d_4ba6, "mtspr 317,3", None),
        (0x7c7d_4aa6, "mfspr 3,317", None),
        (0x7c7e_43a6, "mtspr 286,3", None),
        (0x7c6c_42a6, "mftb 3", None),
        (0x7c61_0164, "mtmsrd 3,1", None),
        (0x7c60_00a6, "mfmsr 3", None),
        (0x4c00_0024, "rfid", None),
        (0x4c00_0224, "hrfid", None),
        (0x4400_0022, "sc 1", None),
        (0x0000_0200, "attn", None),
        (0x7c00_04ac, "sync", None),
        (0x7c20_04ac, "lwsync", None),
        (0x4c00_012c, "isync", None),
        (0x7c00_06ac, "eieio", None),
        (0x7c60_2028, "lwarx 3,0,4", None),
        (0x7c60_212d, "stwcx. 3,0,4", None),
        (0x7c60_20a8, "ldarx 3,0,4", None),
        (0x7c60_21ad, "stdcx. 3,0,4", None),
        (0x7c60_2068, "lbarx 3,0,4", None),
        (0x7c60_256d, "stbcx. 3,0,4", None),
        (0x7c80_3228, "lqarx 4,0,6", None),
        (0x7c60_26ea, "ldcix 3,0,4", None),
        (0x7c60_27ea, "stdcix 3,0,4", None),
        (0x7c60_26aa, "lbzcix 3,0,4", None),
        (0x7c60_27aa, "stbcix 3,0,4", None),
        (0x7c60_262a, "lwzcix 3,0,4", None),
        (0x7c60_272a, "stwcix 3,0,4", None),
        (0x7c00_1fec, "dcbz 0,3", None),
        (0x7c00_186c, "dcbst 0,3", None),
        (0x7c00_1fac, "icbi 0,3", None),
        (0x7c00_1a2c, "dcbt 0,3", None),
        (0x7c00_19ec, "dcbtst 0,3", None),
        (0x7c00_03e4, "slbia", None),
        (0x7c80_1a64, "tlbie 3,4", None),
        (0x7c00_1a24, "tlbiel 3", None),
        (0x7c40_04ac, "ptesync", None),
        (0x7c00_199c, "msgsnd 3", None),
        (0x7c00_19dc, "msgclr 3", None),
        (0x7c00_191c, "msgsndp 3", None),
        (0x7c64_29d2, "mulld 3,4,5", None),
        (0x7c64_2812, "mulhdu 3,4,5", None),
        (0x7c64_2b92, "divdu 3,4,5", None),
        (0x1064_29b3, "maddld 3,4,5,6", None),
        (0x1064_29b0, "maddhd 3,4,5,6", None),
        (0x1064_29b1, "maddhdu 3,4,5,6", None),
        (0x7c64_289e, "isel 3,4,5,2", None),
        (0x7c83_0074, "cntlzd 3,4", None),
        (0x7c83_03f4, "popcntd 3,4", None),
        (0x7c83_2bf8, "cmpb 3,4,5", None),
        (0x7c83_29f8, "bpermd 3,4,5", None),
        (0x7c60_2428, "ldbrx 3,0,4", None),
        (0x7c60_2528, "stdbrx 3,0,4", None),
        (0x7883_2980, "rldicl 3,4,5,6", None),
        (0x5483_298e, "rlwinm 3,4,5,6,7", None),
        (0x7c83_2e74, "sradi 3,4,5", None),
        (0x7c83_2836, "sld 3,4,5", None),
        (0x4800_0008, "b .+8", None),
        (0x4800_0009, "bl .+8", None),
        (0x4182_0008, "bc 12,2,.+8", None),
        (0x4e80_0020, "blr", None),
        (0x4e80_0420, "bctr", None),
        (0x4e80_0421, "bctrl", None),
        (0x4c04_0000, "mcrf 0,1", None),
        (0x4c00_0182, "crxor 0,0,0", None),
        (0x7c60_0026, "mfcr 3", None),
        (0x7c6f_f120, "mtcrf 255,3", None),
        (0x7c78_0026, "mfocrf 3,128", None),
        (0x7c78_0120, "mtocrf 128,3", None),
        (0x7c83_2088, "td 4,3,4", None),
        (0x0c03_0000, "twi 0,3,0", None),
        (0x7c23_2000, "cmpd 3,4", None),
        (0x2823_0004, "cmpldi 3,4", None),
        (0x7c64_282a, "ldx 3,4,5", None),
        (0x7c64_292a, "stdx 3,4,5", None),
        (0x7c64_2aaa, "lwax 3,4,5", None),
        (0x7c21_196a, "stdux 1,1,3", None),
        (0x7c60_262c, "lhbrx 3,0,4", None),
        (0x7d89_03a6, "mtctr 12", None),
        (0x7c83_07b4, "extsw 3,4", None),
        (0x7c83_0774, "extsb 3,4", None),
        (0x7c83_2ef4, "extswsli 3,4,5", None),
        (0x7c64_2a12, "modud 3,4,5", None),
        (0x7c60_0100, "setb 3,0", None),
        (0x4c00_0364, "nap", None),
        (0x4c00_02e4, "stop", None),
        (0x7c00_003c, "wait", None),
        (0x7c61_05e6, "darn 3,1", None),
        (0x7c03_2180, "cmprb 0,0,3,4", None),
        (0x7c00_0480, "mcrxrx 0", None),
        (0x4c60_0004, "addpcis 3,0", None),
        (0x7c00_051d, "tbegin. 0", None),
        (0x7c00_055d, "tend. 0", None),
        (0x7c23_260c, "copy 3,4", None),
        (0x7c00_068c, "cpabort", None),
        (0x7c60_2324, "slbmte 3,4", None),
        (0x7c60_2726, "slbmfee 3,4", None),
        (0x0410_0000, "prefix of pld", Some(Forbidden::Prefixed)),
    ];

    #[test]
    fn known_encodings() {
        for (word, text, expected) in KNOWN {
            assert_eq!(forbidden(*word), *expected, "{text} = {word:#010x}");
        }
        assert!(KNOWN.len() > 100);
    }

    #[test]
    fn tables_do_not_overlap() {
        let mut all: Vec<_> = [FLOAT_31, VECTOR_31, VSX_31].concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
