//! A cpio archive ("newc"), as a kernel unpacks it into its first file system.

/// Permissions and kind of an entry, as in `st_mode`.
const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive that is being written.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory.
    pub(crate) fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY, &[], (0, 0));
    }

    /// Adds a program.
    pub(crate) fn program(&mut self, path: &str, content: &[u8]) {
        self.entry(path, PROGRAM, content, (0, 0));
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.entry(path, LINK, to.as_bytes(), (0, 0));
    }

    /// Adds a character device by its numbers.
    pub(crate) fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER_DEVICE, &[], (major, minor));
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8], device: (u32, u32)) {
        self.entries += 1;
        let name_length = path.len() as u32 + 1;
        let fields = [
            self.entries,
            mode,
            0, // user
            0, // group
            1, // links
            0, // time
            content.len() as u32,
            0, // device of the file itself
            0,
            device.0,
            device.1,
            name_length,
            0, // no checksum
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").into_bytes());
        }
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_reads_back() {
        let mut archive = Archive::default();
        archive.directory("dev");
        archive.device("dev/console", 5, 1);
        archive.program("init", b"#!/bin/sh\n");
        archive.link("bin/sh", "busybox");
        let bytes = archive.finish();
        let mut at = 0;
        let mut found = Vec::new();
        loop {
            let field = |index: usize| {
                let text = &bytes[at + 6 + 8 * index..at + 14 + 8 * index];
                u32::from_str_radix(std::str::from_utf8(text).unwrap(), 16).unwrap()
            };
            assert_eq!(bytes[at..at + 6], *b"070701");
            let (size, name) = (field(6) as usize, field(11) as usize);
            let path = String::from_utf8(bytes[at + 110..at + 110 + name - 1].to_vec()).unwrap();
            let start = (at + 110 + name).next_multiple_of(4);
            let content = bytes[start..start + size].to_vec();
            if path == "TRAILER!!!" {
                break;
            }
            found.push((path, field(1), content, field(9), field(10)));
            at = (start + size).next_multiple_of(4);
        }
        let entry = |path: &str, mode, content: &[u8], major, minor| {
            (path.to_owned(), mode, content.to_vec(), major, minor)
        };
        assert_eq!(
            found,
            [
                entry("dev", DIRECTORY, b"", 0, 0),
                entry("dev/console", CHARACTER_DEVICE, b"", 5, 1),
                entry("init", PROGRAM, b"#!/bin/sh\n", 0, 0),
                entry("bin/sh", LINK, b"busybox", 0, 0),
            ]
        );
    }
}
