//! How much unsafe code there is, per file.

use anyhow::Result;
use std::{fs, path::Path};

/// Places with `unsafe` in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// `unsafe { ... }`.
    pub(crate) blocks: usize,
    /// `unsafe fn`.
    pub(crate) functions: usize,
    /// `unsafe impl`, `unsafe trait`, `unsafe extern`.
    pub(crate) items: usize,
    /// `#[unsafe(...)]`.
    pub(crate) attributes: usize,
}

impl Counts {
    fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Adds another file's.
    pub(crate) fn add(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.functions += other.functions;
        self.items += other.items;
        self.attributes += other.attributes;
    }
}

/// Files with unsafe code below the workspace, by path.
pub(crate) fn survey(root: &Path) -> Result<Vec<(String, Counts)>> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    directories.push(path);
                }
            } else if name.ends_with(".rs") {
                let counts = count(&fs::read_to_string(&path)?);
                if !counts.is_zero() {
                    let shown = path.strip_prefix(root).unwrap_or(&path);
                    found.push((shown.display().to_string(), counts));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

impl PartialOrd for Counts {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Counts {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |counts: &Self| {
            (
                counts.blocks,
                counts.functions,
                counts.items,
                counts.attributes,
            )
        };
        key(self).cmp(&key(other))
    }
}

/// Counts in one source text.
fn count(source: &str) -> Counts {
    let code = without_comments_and_strings(source);
    let mut counts = Counts::default();
    let mut rest = code.as_str();
    while let Some(at) = rest.find("unsafe") {
        let before = rest[..at].chars().next_back();
        let after = &rest[at + "unsafe".len()..];
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        rest = after;
        if before.is_some_and(is_word) || after.starts_with(is_word) {
            continue;
        }
        let next = after.trim_start();
        if next.starts_with('{') {
            counts.blocks += 1;
        } else if next.starts_with("fn") || is_extern_function(next) {
            counts.functions += 1;
        } else if next.starts_with('(') {
            counts.attributes += 1;
        } else if ["impl", "trait", "extern"]
            .iter()
            .any(|item| next.starts_with(item))
        {
            counts.items += 1;
        }
    }
    counts
}

/// `extern "C" fn` with the string blanked out: the next word after it is `fn`, not a brace.
fn is_extern_function(text: &str) -> bool {
    text.strip_prefix("extern").is_some_and(|rest| {
        rest.trim_start_matches([' ', '"', '\n', '\t'])
            .starts_with("fn")
    })
}

/// The same text with the insides of comments and literals left out.
fn without_comments_and_strings(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if c == '"' {
            out.push_str("\"\"");
            string(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !out.ends_with(is_identifier)) {
            length
        } else if c == '\'' {
            character(rest).unwrap_or(1)
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = &rest[skip..];
    }
    out
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Length of `r"..."`, `r#"..."#` and their byte forms.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let inside = rest.trim_start_matches('#').strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close)? + close.len();
    Some(text.len() - inside.len() + end)
}

/// Length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        let end = inside.char_indices().skip(2).find(|(_, c)| *c == '\'')?.0;
        return Some(end + 2);
    }
    let c = inside.chars().next()?;
    inside[c.len_utf8()..]
        .starts_with('\'')
        .then(|| c.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts() {
        let source = r####"
            // unsafe { in a comment }
            /* unsafe { /* nested unsafe fn */ } */
            #![forbid(unsafe_code)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn door() {}
            unsafe fn one<'a>(x: &'a str) -> char { 'u' }
            unsafe impl Sync for X {}
            unsafe extern "C" { static Y: u8; }
            fn two() {
                let s = "unsafe { \" unsafe {";
                let r = r#"unsafe { " unsafe fn"#;
                let c = ('"', '\'', '\\', b'"');
                unsafe { three() };
                unsafe
                {
                    four();
                }
                let not_unsafe = unsafer;
            }
        "####;
        assert_eq!(
            count(source),
            Counts {
                blocks: 2,
                functions: 2,
                items: 2,
                attributes: 1
            }
        );
    }
}
