//! Looks for texts that must not have been written down, byte by byte and in the usual disguises.

use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A text that must not be found.
#[derive(Clone)]
pub struct Needle {
    name: String,
    disguises: Vec<(&'static str, Vec<u8>)>,
}

/// A place where a needle was found; the needle itself is not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Which file or stream.
    pub place: String,
    /// Which needle, by its name.
    pub needle: String,
    /// In which disguise: `plain`, `base64`, `base64url`, `url`, `json`, `hex`.
    pub disguise: &'static str,
}

impl Needle {
    /// Looks for this text under that name.
    ///
    /// # Panics
    ///
    /// When it is shorter than six bytes: it would be found by chance.
    pub fn new(name: &str, text: &str) -> Self {
        assert!(text.len() >= 6, "the needle {name} is too short to mean anything");
        let mut disguises = vec![("plain", text.as_bytes().to_vec())];
        for (disguise, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            // What stands before the text shifts its bits: three alignments. The edges depend on neighbours and are left off.
            for shift in 0..3 {
                let padded = [&vec![0; shift], text.as_bytes()].concat();
                let encoded = engine.encode(&padded);
                let first = (shift * 8).div_ceil(6);
                let last = padded.len() * 8 / 6;
                disguises.push((disguise, encoded.as_bytes()[first..last].to_vec()));
            }
        }
        let url: String = text
            .bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        disguises.push(("url", url.into_bytes()));
        let json = serde_json::Value::from(text).to_string();
        disguises.push(("json", json.trim_matches('"').as_bytes().to_vec()));
        disguises.push((
            "hex",
            text.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(),
        ));
        let mut seen = Vec::new();
        disguises.retain(|(_, bytes)| {
            !seen.contains(bytes) && {
                seen.push(bytes.clone());
                true
            }
        });
        Self { name: name.to_owned(), disguises }
    }
}

impl std::fmt::Debug for Needle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Needle({})", self.name)
    }
}

/// Looks through some bytes.
pub fn scan_bytes(place: &str, bytes: &[u8], needles: &[Needle]) -> Vec<Leak> {
    let mut leaks = Vec::new();
    for needle in needles {
        for (disguise, form) in &needle.disguises {
            if contains(bytes, form) {
                leaks.push(Leak { place: place.to_owned(), needle: needle.name.clone(), disguise });
            }
        }
    }
    leaks
}

/// Looks through the names and contents of all files below a folder; links are not followed.
///
/// # Errors
///
/// When something in it cannot be read.
pub fn scan_folder(folder: &Path, needles: &[Needle]) -> io::Result<Vec<Leak>> {
    let mut leaks = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let place = entry.path().display().to_string();
            leaks.extend(scan_bytes(
                &format!("name of {place}"),
                entry.file_name().as_encoded_bytes(),
                needles,
            ));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                leaks.extend(scan_bytes(&place, &fs::read(entry.path())?, needles));
            }
        }
    }
    Ok(leaks)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((first, _)) = needle.split_first() else { return false };
    let mut from = 0;
    while let Some(at) =
        haystack.get(from..).and_then(|rest| rest.iter().position(|byte| byte == first))
    {
        if haystack.get(from + at..).is_some_and(|rest| rest.starts_with(needle)) {
            return true;
        }
        from += at + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-a/b+c?d\"e-0123456789";

    #[test]
    fn every_disguise_is_seen() {
        check("plain", SECRET);
        check("base64", &STANDARD_NO_PAD.encode(SECRET));
        check("base64", &STANDARD_NO_PAD.encode(format!("u:{SECRET}")));
        check("base64", &STANDARD_NO_PAD.encode(format!("u{SECRET}:tail")));
        check("base64url", &URL_SAFE_NO_PAD.encode(format!("ÿÿ>?{SECRET}??")));
        check("url", "sk-a%2Fb%2Bc%3Fd%22e-0123456789");
        check("json", r#"{"key":"sk-a/b+c?d\"e-0123456789"}"#);
        check("hex", "736b2d612f622b633f6422652d30313233343536373839");
    }

    #[test]
    fn other_texts_are_clean() {
        let needles = [Needle::new("key", SECRET)];
        assert_eq!(scan_bytes("x", b"sk-a/b+c?d sk-a sk-a/b+c?d\"e-012345678", &needles), vec![]);
        assert_eq!(scan_bytes("x", b"", &needles), vec![]);
    }

    #[test]
    fn files_and_their_names_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/needle-in-a-name"), "x").unwrap();
        fs::write(folder.path().join("deep/file"), b"\xff\x00..needle-in-a-name..").unwrap();
        let leaks = scan_folder(folder.path(), &[Needle::new("text", "needle-in-a-name")]).unwrap();
        assert_eq!(leaks.len(), 2, "{leaks:?}");
    }

    #[track_caller]
    fn check(disguise: &str, text: &str) {
        let text = format!("before {text} after");
        let leaks = scan_bytes("x", text.as_bytes(), &[Needle::new("key", SECRET)]);
        assert!(leaks.iter().any(|leak| leak.disguise == disguise), "{disguise}: {leaks:?}");
    }
}
