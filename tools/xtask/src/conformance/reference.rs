//! Where the reference is: QEMU brings it along.

use anyhow::{Context as _, Result};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

const NAME: &str = "skiboot.lid";

/// The reference firmware, in one of the folders that QEMU searches.
pub(crate) fn find(qemu: &OsStr) -> Result<PathBuf> {
    let output = Command::new(qemu).args(["-L", "help"]).output();
    let output = output.context("QEMU does not tell where its firmware is")?;
    let folders = String::from_utf8_lossy(&output.stdout);
    first(&folders).with_context(|| {
        format!("QEMU has no {NAME} (Debian has it in qemu-system-data, on which QEMU depends)")
    })
}

fn first(folders: &str) -> Option<PathBuf> {
    folders
        .lines()
        .map(|folder| Path::new(folder.trim()).join(NAME))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let folders = format!("/nowhere\n{path}\n");
        assert_eq!(first(&folders), None);
        std::fs::write(folder.path().join(NAME), "").unwrap();
        assert_eq!(first(&folders), Some(folder.path().join(NAME)));
    }
}
