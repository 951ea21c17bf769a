use power_registers::Spr;

/// A register by its name in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Spr(Spr),
    /// A SCOM address.
    Scom(u32),
}

const SPRS: [(&str, Spr); 11] = [
    ("TFMR", Spr::Tfmr),
    ("HMER", Spr::Hmer),
    ("HMEER", Spr::Hmeer),
    ("TB", Spr::Tb),
    ("TBWL", Spr::Tbwl),
    ("TBWU", Spr::Tbwu),
    ("TBU40", Spr::Tbu40),
    ("DEC", Spr::Dec),
    ("HDEC", Spr::Hdec),
    ("PURR", Spr::Purr),
    ("SPURR", Spr::Spurr),
];

impl Named {
    /// An SPR by its name, or a SCOM address as `0x40030`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(digits) = name.strip_prefix("0x") {
            return u32::from_str_radix(digits, 16).ok().map(Self::Scom);
        }
        let known = SPRS.iter().find(|(known, _)| *known == name)?;
        Some(Self::Spr(known.1))
    }

    /// What [`Self::parse`] knows.
    pub(super) fn known() -> String {
        let names = SPRS.map(|(name, _)| name);
        format!("{}, or a SCOM address as 0x40030", names.join(", "))
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scom(address) => write!(f, "{address:#07x}"),
            Self::Spr(spr) => match SPRS.iter().find(|(_, known)| known == spr) {
                Some((name, _)) => f.write_str(name),
                None => write!(f, "{spr:?}"),
            },
        }
    }
}
