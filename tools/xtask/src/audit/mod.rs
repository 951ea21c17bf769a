//! What the image must not hold, how large it is, and how much stack it may use.

mod barriers;
mod calls;
mod opcodes;
#[cfg(test)]
mod orderings;
mod program;
pub(crate) mod stack;
mod unsafe_code;

use crate::{testing::tally::Tally, workspace};
use anyhow::{Result, bail};
use program::Program;

/// The image may have this many bytes, uncompressed.
pub(crate) const SIZE_BUDGET: usize = 512 << 10;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    /// Bytes of the flat image.
    pub(crate) size: usize,
    /// Instructions that were looked at.
    pub(crate) instructions: usize,
    /// Instructions that must not be there.
    pub(crate) forbidden: Vec<String>,
    /// Accesses of registers that threads share.
    barriers: barriers::Found,
    /// Stack bounds.
    pub(crate) stack: stack::Report,
    /// Unsafe code per file.
    pub(crate) unsafe_code: Vec<(String, unsafe_code::Counts)>,
}

/// Examines an image.
pub(crate) fn examine(elf: &[u8], size: usize) -> Result<Findings> {
    let program = Program::read(elf)?;
    Ok(Findings {
        size,
        instructions: program
            .functions
            .iter()
            .map(|function| function.words.len())
            .sum(),
        forbidden: forbidden_instructions(&program),
        barriers: barriers::look(&program),
        stack: stack::report(&program),
        unsafe_code: unsafe_code::survey(&workspace::root())?,
    })
}

fn forbidden_instructions(program: &Program) -> Vec<String> {
    program
        .functions
        .iter()
        .flat_map(|function| {
            function.code().filter_map(|(at, word)| {
                let kind = opcodes::forbidden(word)?;
                Some(format!(
                    "{kind} instruction {word:#010x} at {at:#x} in {}",
                    function.name()
                ))
            })
        })
        .collect()
}

impl Findings {
    /// Everything that fails the build.
    fn instruction_failures(&self) -> Vec<String> {
        let none = (self.instructions == 0).then(|| "the image holds no instructions".to_owned());
        self.forbidden.iter().cloned().chain(none).collect()
    }

    fn size_failures(&self) -> Vec<String> {
        let over = self.size > SIZE_BUDGET;
        over.then(|| format!("{} bytes, over the budget of {SIZE_BUDGET}", self.size))
            .into_iter()
            .collect()
    }

    fn audits(&self) -> [(&'static str, Vec<String>); 4] {
        [
            (
                "audit: no float or vector instruction",
                self.instruction_failures(),
            ),
            ("audit: size within budget", self.size_failures()),
            (
                "audit: each access of TFMR, HMER and TB has its isync",
                self.barriers.failures(),
            ),
            ("audit: stack within bounds", self.stack.failures()),
        ]
    }

    /// Prints the figures; `everything` adds paths and files.
    pub(crate) fn print(&self, everything: bool) {
        println!(
            "Size: {} of {SIZE_BUDGET} bytes; {} instructions, {} of them float or vector",
            self.size,
            self.instructions,
            self.forbidden.len()
        );
        println!(
            "Accesses of TFMR, HMER and TB: {}, {} of them without their isync",
            self.barriers.accesses,
            self.barriers.bare.len()
        );
        println!("Worst-case stack per entry point:");
        for bound in &self.stack.bounds {
            println!(
                "  {:<20} {:>6} of {:>6} bytes ({} over direct calls alone)",
                bound.entry, bound.worst, bound.limit, bound.direct
            );
            if everything {
                for (name, frame) in &bound.path {
                    println!("    {frame:>6}  {name}");
                }
            }
        }
        println!(
            "  assumed: any of the {} calls through pointers may reach any of the {} functions \
             whose address is taken; no function is active twice on one stack",
            self.stack.indirect_calls, self.stack.targets
        );
        let mut all = unsafe_code::Counts::default();
        for (file, counts) in &self.unsafe_code {
            all.add(*counts);
            if everything {
                println!(
                    "  unsafe: {:>3} blocks, {:>2} functions, {:>2} items, {:>2} attributes  {file}",
                    counts.blocks, counts.functions, counts.items, counts.attributes
                );
            }
        }
        println!(
            "Unsafe code: {} blocks, {} functions, {} items, {} attributes in {} files",
            all.blocks,
            all.functions,
            all.items,
            all.attributes,
            self.unsafe_code.len()
        );
    }

    /// Fails if any audit failed.
    pub(crate) fn verdict(&self) -> Result<()> {
        let failures: Vec<_> = self
            .audits()
            .into_iter()
            .flat_map(|(_, failures)| failures)
            .collect();
        if failures.is_empty() {
            Ok(())
        } else {
            bail!("audit:\n  {}", failures.join("\n  "))
        }
    }

    /// Counts each audit as a test.
    pub(crate) fn tally(&self, tally: &mut Tally) {
        for (name, failures) in self.audits() {
            tally.check(name, &failures);
        }
    }
}

/// The verb: build, then print everything.
pub(crate) fn verb() -> Result<()> {
    let image = crate::image::build(&[])?;
    image.audit.print(true);
    image.audit.verdict()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(size: usize, forbidden: &[&str]) -> Findings {
        Findings {
            size,
            instructions: 1,
            forbidden: forbidden.iter().map(|text| (*text).to_owned()).collect(),
            barriers: barriers::Found {
                accesses: 1,
                bare: Vec::new(),
            },
            stack: stack::Report {
                bounds: vec![stack::Bound {
                    entry: "opaline_x".into(),
                    limit: 1,
                    direct: 1,
                    worst: 1,
                    path: vec![],
                }],
                ..stack::Report::default()
            },
            unsafe_code: Vec::new(),
        }
    }

    #[test]
    fn each_audit_can_fail() {
        assert!(findings(SIZE_BUDGET, &[]).verdict().is_ok());
        assert!(findings(SIZE_BUDGET + 1, &[]).verdict().is_err());
        assert!(findings(1, &["lfd"]).verdict().is_err());
        let mut empty = findings(1, &[]);
        empty.instructions = 0;
        assert!(empty.verdict().is_err());
    }

    #[test]
    fn forbidden_instructions_are_located() {
        let program = Program {
            functions: vec![program::Function {
                names: vec!["f".into()],
                start: 0x100,
                words: vec![0x6000_0000, 0xc823_0008],
                typed: true,
            }],
            ..Program::default()
        };
        assert_eq!(
            forbidden_instructions(&program),
            ["floating-point instruction 0xc8230008 at 0x104 in f"]
        );
    }
}
