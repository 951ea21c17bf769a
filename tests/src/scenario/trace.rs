//! Golden traces: what was written, line by line.

use super::case::Shape;
use super::expect::TraceCase;
use super::register::Named;
use hardware_model::{Access, Register};
use power_registers::{Hmer, Spr, ibm};

/// A line of a golden trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    register: Named,
    /// `None` = any.
    value: Option<u64>,
}

impl Write {
    /// `REGISTER VALUE`; `base` is TFMR's base value.
    pub(super) fn parse(line: &str, base: u64) -> Option<Self> {
        let (register, value) = line.trim().split_once(char::is_whitespace)?;
        let register = Named::parse(register)?;
        let value = value.trim();
        let bit = |text: &str| text.parse().ok().filter(|bit| *bit < 64).map(ibm);
        let value = if value == "*" {
            None
        } else if let Some(bits) = value.strip_prefix('B') {
            let bits = bits.split('+').skip(1).map(bit);
            Some(bits.sum::<Option<u64>>()? | base)
        } else if let Some(bits) = value.strip_prefix('~') {
            Some(!bits.split('~').map(bit).sum::<Option<u64>>()?)
        } else {
            let digits = value.strip_prefix("0x")?.replace('_', "");
            Some(u64::from_str_radix(&digits, 16).ok()?)
        };
        Some(Self { register, value })
    }
}

/// The register that an access wrote; `None` for reads and for the XSCOM mailbox in HMER.
pub(super) fn written(access: &Access) -> Option<Named> {
    match access.register {
        Register::Spr(Spr::Hmer) if access.value == !Hmer::XSCOM_MAILBOX.bits() => None,
        Register::Spr(spr) => Some(Named::Spr(spr)),
        Register::ScomWrite { address, .. } => Some(Named::Scom(address)),
        Register::ScomRead { .. } => None,
    }
}

/// A write in the words of a file.
pub(super) fn line(register: Named, value: u64, base: u64) -> String {
    let base = (register == Named::Spr(Spr::Tfmr) && value & base == base).then_some(base);
    match base {
        Some(base) => {
            let rest = value & !base;
            let bits = (0..64).filter(|bit| rest & ibm(*bit) != 0);
            let bits: String = bits.map(|bit| format!("+{bit}")).collect();
            format!("{register} B{bits}")
        }
        None => format!("{register} {value:#018x}"),
    }
}

/// What is not as the trace says.
pub(super) fn compare(
    case: &TraceCase,
    shape: &Shape,
    accesses: &[Access],
    base: u64,
) -> Vec<String> {
    let only: Vec<Named> = case
        .registers
        .iter()
        .filter_map(|name| Named::parse(name))
        .collect();
    let found: Vec<(Named, u64)> = accesses
        .iter()
        .filter(|access| case.who.means(shape, access.thread))
        .filter_map(|access| Some((written(access)?, access.value)))
        .filter(|(register, _)| only.contains(register))
        .collect();
    let mut wrong = Vec::new();
    for at in 0..found.len().max(case.writes.len()) {
        let expected = case
            .writes
            .get(at)
            .and_then(|line| Write::parse(line, base));
        let good = match (expected, found.get(at)) {
            (Some(expected), Some((register, value))) => {
                expected.register == *register
                    && expected.value.is_none_or(|expected| expected == *value)
            }
            _ => false,
        };
        if !good {
            let found = found
                .get(at)
                .map_or("nothing".to_owned(), |(register, value)| {
                    line(*register, *value, base)
                });
            let expected = case.writes.get(at).map_or("nothing", String::as_str);
            wrong.push(format!(
                "trace, write {}: expected {expected}, found {found}",
                at + 1
            ));
        }
    }
    wrong
}
