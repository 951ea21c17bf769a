//! The image as its ELF file describes it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

use crate::instructions::may_open_interrupts;

/// Where the image is linked. `-bios` loads it at 0; its head copies it up.
pub const LINK_BASE: u64 = 0x3000_0000;

/// Symbols, and the places where interrupts may be opened.
#[derive(Clone, Debug)]
pub struct Image {
    symbols: Vec<(u64, String)>,
    gates: BTreeSet<u64>,
    /// Address of the shim's control block.
    pub control: u64,
    /// Address of the flight recorder.
    pub recorder: u64,
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// It is none, or not of this firmware.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("understanding {}", path.display()))
    }

    /// An image of which only its gates are known: enough to deliver an HMI.
    #[must_use]
    pub fn with_gates(gates: impl IntoIterator<Item = u64>) -> Self {
        let gates = gates.into_iter().collect();
        Self {
            symbols: Vec::new(),
            gates,
            control: 0,
            recorder: 0,
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes)?;
        let mut symbols: Vec<(u64, String)> = file
            .symbols()
            .filter(|symbol| symbol.is_definition())
            .filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?.to_owned())))
            .filter(|(_, name)| !name.is_empty())
            .collect();
        symbols.sort();
        let address = |name: &str| {
            symbols
                .iter()
                .find(|(_, symbol)| symbol == name)
                .map(|(address, _)| *address)
                .with_context(|| format!("there is no symbol {name}"))
        };
        let (control, recorder) = (
            address("OPALINE_CONTROL")?,
            address("OPALINE_FLIGHT_RECORDER")?,
        );
        let mut gates = BTreeSet::new();
        for section in file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text)
        {
            let (words, _) = section.data()?.as_chunks::<4>();
            for (index, word) in words.iter().enumerate() {
                if may_open_interrupts(u32::from_be_bytes(*word)) {
                    let address = section.address() + 4 * index as u64;
                    gates.insert(address);
                    // The vectors also run where they were loaded.
                    if let Some(low) = address.checked_sub(LINK_BASE)
                        && low < VECTORS
                    {
                        gates.insert(low);
                    }
                }
            }
        }
        if gates.is_empty() {
            bail!("no instruction of the image opens interrupts");
        }
        Ok(Self {
            symbols,
            gates,
            control,
            recorder,
        })
    }

    /// Instructions behind which a pending HMI may be taken.
    pub fn gates(&self) -> impl Iterator<Item = u64> + '_ {
        self.gates.iter().copied()
    }

    /// Whether one of them is here.
    #[must_use]
    pub fn is_gate(&self, address: u64) -> bool {
        self.gates.contains(&address)
    }

    /// The symbol at or before an address, and how far behind it the address is.
    #[must_use]
    pub fn name(&self, address: u64) -> String {
        // Code of the vectors runs at low addresses too.
        let linked = if address < VECTORS {
            address + LINK_BASE
        } else {
            address
        };
        let at = self.symbols.partition_point(|(start, _)| *start <= linked);
        match at.checked_sub(1).map(|index| &self.symbols[index]) {
            Some((start, name)) if linked - start < NEAR => {
                format!("{name}+{:#x}", linked - start)
            }
            _ => format!("{address:#x}"),
        }
    }
}

/// Vectors end here.
const VECTORS: u64 = 0x4000;
/// Farther behind a symbol than this, an address does not belong to it.
const NEAR: u64 = 0x1_0000;
