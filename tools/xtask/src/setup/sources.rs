//! The machine's own apt sources: read in both formats, so that a suite can be added beside them.

use std::{fs, io, path::Path};

/// One source of binary packages. `options` are deb822 fields other than type, place and suite;
/// they carry what apt needs to trust this mirror (`Signed-By` above all).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) uris: Vec<String>,
    pub(crate) suites: Vec<String>,
    pub(crate) components: Vec<String>,
    pub(crate) options: Vec<(String, String)>,
}

/// Reads `sources.list` and `sources.list.d` below `apt` (normally `/etc/apt`), in apt's order.
pub(crate) fn read(apt: &Path) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    if let Some(text) = read_if_there(&apt.join("sources.list"))? {
        found.extend(parse_one_line(&text));
    }
    let directory = apt.join("sources.list.d");
    let mut parts: Vec<_> = match fs::read_dir(&directory) {
        Ok(entries) => entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    parts.sort();
    for part in parts {
        match part.extension().and_then(|extension| extension.to_str()) {
            Some("list") => found.extend(parse_one_line(&fs::read_to_string(&part)?)),
            Some("sources") => found.extend(parse_deb822(&fs::read_to_string(&part)?)),
            _ => {}
        }
    }
    Ok(found)
}

fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `deb [option=value ...] URI suite component...`
pub(crate) fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or_default();
    let rest = line.trim().strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let uri = words.next()?;
    let suite = words.next()?;
    Some(Source {
        uris: vec![uri],
        suites: vec![suite],
        components: words.collect(),
        options: options
            .split_whitespace()
            .filter_map(|option| option.split_once('='))
            .map(|(key, value)| (field_of_option(key), value.replace(',', " ")))
            .collect(),
    })
}

/// The deb822 field of an option of the one-line format.
fn field_of_option(option: &str) -> String {
    match option {
        "arch" => "Architectures".to_owned(),
        "lang" => "Languages".to_owned(),
        "target" => "Targets".to_owned(),
        "pdiffs" => "PDiffs".to_owned(),
        other => other
            .split('-')
            .map(|word| {
                let (first, rest) = word.split_at(word.len().min(1));
                first.to_ascii_uppercase() + rest
            })
            .collect::<Vec<_>>()
            .join("-"),
    }
}

/// Stanzas of `Field: value`, with continuation lines; disabled ones and `deb-src` are left out.
pub(crate) fn parse_deb822(text: &str) -> Vec<Source> {
    let mut stanzas: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanzas.last_mut().and_then(|stanza| stanza.last_mut()) {
                value.push('\n');
                value.push_str(line.trim_end());
            }
        } else if let Some((field, value)) = line.split_once(':')
            && let Some(stanza) = stanzas.last_mut()
        {
            stanza.push((field.trim().to_owned(), value.trim().to_owned()));
        }
    }
    stanzas.into_iter().filter_map(source_of_stanza).collect()
}

fn source_of_stanza(stanza: Vec<(String, String)>) -> Option<Source> {
    let mut source = Source {
        uris: vec![],
        suites: vec![],
        components: vec![],
        options: vec![],
    };
    let mut binary = false;
    for (field, value) in stanza {
        let words = || {
            value
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        match field.to_ascii_lowercase().as_str() {
            "types" => binary = words().iter().any(|word| word == "deb"),
            "uris" => source.uris = words(),
            "suites" => source.suites = words(),
            "components" => source.components = words(),
            "enabled" if matches!(value.to_ascii_lowercase().as_str(), "no" | "false") => {
                return None;
            }
            "enabled" => {}
            _ => source.options.push((field, value)),
        }
    }
    (binary && !source.uris.is_empty() && !source.suites.is_empty()).then_some(source)
}

/// Whether a suite with component `main` is configured.
pub(crate) fn has_suite(sources: &[Source], suite: &str) -> bool {
    sources.iter().any(|source| offers(source, suite))
}

fn offers(source: &Source, suite: &str) -> bool {
    source
        .suites
        .iter()
        .any(|found| found.trim_end_matches('/') == suite)
        && source
            .components
            .iter()
            .any(|component| component == "main")
}

/// A deb822 file that adds `suite` from the same mirror, with the same trust, as the machine has
/// for `base`; `None` when the machine has no source for `base`.
pub(crate) fn beside(sources: &[Source], base: &str, suite: &str) -> Option<String> {
    let mirror = sources.iter().find(|source| offers(source, base))?;
    let mut text = format!(
        "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n",
        mirror.uris.join(" ")
    );
    for (field, value) in &mirror.options {
        text.push_str(&format!("{field}: {value}\n"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb deb-src
# http://snapshot.example/20250520
URIs: http://deb.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://deb.example/debian
Suites: bookworm-backports
Components: main

Types: deb-src
URIs: http://deb.example/debian
Suites: bookworm-backports
Components: main
";

    #[test]
    fn deb822_mirror_is_taken_over() {
        let sources = parse_deb822(DEB822);
        assert_eq!(sources.len(), 2);
        assert!(!has_suite(&sources, "bookworm-backports"));
        assert!(has_suite(&sources, "bookworm-security"));
        assert_eq!(
            beside(&sources, "bookworm", "bookworm-backports").unwrap(),
            "Types: deb\nURIs: http://deb.example/debian\nSuites: bookworm-backports\n\
             Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        );
        assert_eq!(beside(&sources, "trixie", "trixie-backports"), None);
    }

    #[test]
    fn embedded_key_survives() {
        let text = "Types: deb\nURIs: https://m.example/\nSuites: bookworm\nComponents: main\n\
                    Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n\
                     =abc\n";
        let text = text.replace("\n=abc", "\n =abc");
        let added = beside(&parse_deb822(&text), "bookworm", "bookworm-backports").unwrap();
        let again = parse_deb822(&added);
        assert_eq!(again[0].options, parse_deb822(&text)[0].options);
        assert!(again[0].options[0].1.contains("\n ="), "{added}");
    }

    #[test]
    fn one_line_mirror_is_taken_over() {
        let text = "# deb http://old.example bookworm main\n\
            deb-src http://deb.example/debian bookworm main\n\
            deb [signed-by=/k.gpg arch=amd64,ppc64el check-valid-until=no] http://mirror.example/debian bookworm main contrib # own\n\
            deb\thttp://deb.example/debian bookworm-updates main\n";
        let sources = parse_one_line(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(
            beside(&sources, "bookworm", "bookworm-backports").unwrap(),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n\
             Components: main\nSigned-By: /k.gpg\nArchitectures: amd64 ppc64el\n\
             Check-Valid-Until: no\n"
        );
    }

    #[test]
    fn both_formats_are_read_from_disk() {
        let apt = tempfile::tempdir().unwrap();
        assert_eq!(read(apt.path()).unwrap(), []);
        fs::create_dir(apt.path().join("sources.list.d")).unwrap();
        let write = |name: &str, text: &str| fs::write(apt.path().join(name), text).unwrap();
        write("sources.list", "deb http://one.example bookworm main\n");
        write("sources.list.d/two.sources", DEB822);
        write("sources.list.d/off.sources.disabled", DEB822);
        write(
            "sources.list.d/three.list",
            "deb http://b.example bookworm-backports main\n",
        );
        let sources = read(apt.path()).unwrap();
        assert_eq!(sources.len(), 4);
        assert!(has_suite(&sources, "bookworm-backports"));
        assert!(
            beside(&sources, "bookworm", "x")
                .unwrap()
                .contains("http://one.example")
        );
    }
}
