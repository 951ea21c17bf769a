//! The image files themselves.

use super::figure::Values;
use anyhow::{Context as _, Result, ensure};
use std::{fs, path::Path, process::Command};

/// Bytes of the file, and of the same packed as firmware packages are.
pub(super) fn run(firmware: &Path) -> Result<Values> {
    let raw = fs::metadata(firmware)
        .with_context(|| firmware.display().to_string())?
        .len();
    let packed = Command::new("xz")
        .args(["-9", "-C", "crc32", "--stdout", "--keep"])
        .arg(firmware)
        .output()
        .context("xz cannot be started")?;
    ensure!(
        packed.status.success() && !packed.stdout.is_empty(),
        "xz: {}",
        String::from_utf8_lossy(&packed.stderr).trim()
    );
    Ok(vec![
        ("image.raw", raw as f64),
        ("image.xz", packed.stdout.len() as f64),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_pack_well() {
        if crate::workspace::find_program("xz").is_none() {
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![0; 100_000]).unwrap();
        let values = run(file.path()).unwrap();
        assert_eq!(values[0], ("image.raw", 100_000.0));
        assert!(values[1].1 < 1000.0, "{values:?}");
        assert!(run(Path::new("/nowhere")).is_err());
    }
}
