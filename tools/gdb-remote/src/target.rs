//! The target description: which number each register has on this processor model.

use std::collections::HashMap;

/// One register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its number in `p` and `P`.
    pub number: u32,
    /// Its width.
    pub bits: u32,
}

/// All registers by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetDescription {
    registers: HashMap<String, Register>,
    next_number: u32,
}

impl TargetDescription {
    /// Annexes that the top document includes, in order.
    #[must_use]
    pub fn includes(document: &str) -> Vec<String> {
        tags(document, "xi:include")
            .filter_map(|tag| attribute(tag, "href"))
            .map(str::to_owned)
            .collect()
    }

    /// Adds the registers of one annex. Numbers run on from annex to annex unless `regnum` says so;
    /// of two registers with one name the first counts.
    pub fn add(&mut self, document: &str) {
        for tag in tags(document, "reg") {
            if let Some(number) = attribute(tag, "regnum").and_then(|text| text.parse().ok()) {
                self.next_number = number;
            }
            let number = self.next_number;
            self.next_number = number.saturating_add(1);
            let bits = attribute(tag, "bitsize").and_then(|text| text.parse().ok());
            if let (Some(name), Some(bits)) = (attribute(tag, "name"), bits) {
                self.registers
                    .entry(name.to_owned())
                    .or_insert(Register { number, bits });
            }
        }
    }

    /// The register of this name.
    #[must_use]
    pub fn register(&self, name: &str) -> Option<Register> {
        self.registers.get(name).copied()
    }

    /// How many registers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.registers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.registers.is_empty()
    }
}

/// The inner text of each tag of this name (these documents have no content between tags).
fn tags<'a>(document: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    document.split('<').skip(1).filter_map(move |piece| {
        let inner = &piece[..piece.find('>')?];
        let rest = inner.strip_prefix(name)?;
        rest.starts_with(|c: char| c.is_ascii_whitespace())
            .then_some(rest)
    })
}

/// The value of an attribute, in either kind of quotes.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    loop {
        let (key, tail) = rest.split_once('=')?;
        let tail = tail.trim_start();
        let quote = tail.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = tail[1..].split_once(quote)?;
        if key.trim() == name {
            return Some(value);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = r#"<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>
        <architecture>powerpc:common64</architecture>
        <xi:include href="core.xml"/><xi:include href='spr.xml'/></target>"#;
    const CORE: &str = r#"<feature name="a"><reg name="r0" bitsize="64" type="uint64"/>
        <reg name="r1" bitsize="64"/><reg name="pc" bitsize="64" regnum="64"/>
        <reg name="msr" bitsize="64"/></feature>"#;
    const SPR: &str = r#"<reg name="tfmr" bitsize="64" regnum="226" group="spr"/>
        <reg bitsize = "32" name = "cr"/><reg name="r0" bitsize="8"/><regs name="no"/>"#;

    #[test]
    fn numbers_run_on_and_jump() {
        assert_eq!(TargetDescription::includes(TOP), ["core.xml", "spr.xml"]);
        let mut target = TargetDescription::default();
        target.add(CORE);
        target.add(SPR);
        let number = |name| {
            target
                .register(name)
                .map(|register| (register.number, register.bits))
        };
        assert_eq!(number("r0"), Some((0, 64)));
        assert_eq!(number("r1"), Some((1, 64)));
        assert_eq!(number("msr"), Some((65, 64)));
        assert_eq!(number("tfmr"), Some((226, 64)));
        assert_eq!(number("cr"), Some((227, 32)));
        assert_eq!(number("no"), None);
        assert_eq!(target.len(), 6);
    }

    #[test]
    fn rubbish_is_no_register() {
        let mut target = TargetDescription::default();
        for rubbish in [
            "",
            "<",
            "<reg",
            "<reg >",
            "<reg name>",
            "<reg name=\"a>",
            "<reg name=x/>",
        ] {
            target.add(rubbish);
        }
        assert!(target.is_empty());
    }
}
