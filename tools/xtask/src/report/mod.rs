//! What a run showed: as text, and as a page.

mod html;
mod lanes;
pub(crate) mod narrative;

use anyhow::{Context as _, Result};
use narrative::Episode;
use std::{fs, path::Path};

/// Everything that the page shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// The machine.
    pub(crate) title: String,
    /// What did not hold.
    pub(crate) failures: Vec<String>,
    /// Names and values.
    pub(crate) facts: Vec<(String, String)>,
    /// Faults, guests.
    pub(crate) tables: Vec<Table>,
    /// What the threads did.
    pub(crate) episodes: Vec<Episode>,
    /// What the image printed.
    pub(crate) console: Vec<String>,
}

/// A table with a title.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// Prints it with aligned columns, or, when it is too wide for that, row by row.
    pub(crate) fn print(&self) {
        const WIDEST: usize = 170;
        println!("\n{}", self.title);
        let width = |column: usize| {
            let cells = self
                .rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count());
            cells.chain([self.head[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        if widths.iter().map(|width| width + 2).sum::<usize>() > WIDEST {
            for row in &self.rows {
                for (index, (head, cell)) in self.head.iter().zip(row).enumerate() {
                    println!("  {}{head}: {cell}", if index == 0 { "" } else { "    " });
                }
            }
            return;
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<_> = cells
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            println!("  {}", cells.join("  ").trim_end());
        };
        line(&mut self.head.iter().copied());
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str));
        }
    }
}

impl Page {
    /// Writes the page.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(directory) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            fs::create_dir_all(directory)?;
        }
        fs::write(path, html::page(self)).with_context(|| path.display().to_string())
    }
}

/// Prints the steps of an episode, in order.
pub(crate) fn print_episode(episode: &Episode) {
    for record in &episode.records {
        println!(
            "  #{:<5} thread {:#04x}  {:<16} {:<46} TB {:#x}  {}  {}",
            record.sequence,
            record.pir,
            narrative::label(record.step),
            narrative::details(record),
            record.timebase,
            narrative::tfmr(record.tfmr),
            narrative::hmer(record.hmer)
        );
    }
}
