//! Amounts of memory, as numbers and as text.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// An amount of memory: a number of bytes, or text such as `"256 MiB"`.
///
/// The units are `B`, `kB`, `MB`, `GB`, `TB` for powers of a thousand and `KiB`, `MiB`, `GiB`, `TiB` for those of 1024, in upper or lower case; text without one is
/// in bytes. Text that is known when the program is written converts by itself, and is checked when it is used; other text is parsed:
///
/// ```
/// # use bilevel_runtime::methods::{MemorySize, Unrolled};
/// let method = Unrolled::reverse().steps(100).memory("1.5 GiB");
/// let size: MemorySize = "64MB".parse()?;
/// assert_eq!((size.bytes()?, size.to_string()), (64_000_000, "61.0 MiB".to_owned()));
/// # Ok::<(), bilevel_runtime::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySize(Source);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Bytes(usize),
    Text(&'static str),
}

impl From<usize> for MemorySize {
    fn from(bytes: usize) -> Self {
        MemorySize(Source::Bytes(bytes))
    }
}

impl From<&'static str> for MemorySize {
    fn from(text: &'static str) -> Self {
        MemorySize(Source::Text(text))
    }
}

impl FromStr for MemorySize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map(MemorySize::from)
    }
}

impl MemorySize {
    /// The number of bytes.
    ///
    /// # Errors
    /// [`Error::InvalidText`] for text that is no amount of memory.
    pub fn bytes(self) -> Result<usize, Error> {
        match self.0 {
            Source::Bytes(bytes) => Ok(bytes),
            Source::Text(text) => parse(text),
        }
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Source::Text(text) => f.write_str(text),
            Source::Bytes(bytes) => {
                let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
                match units.into_iter().find(|(_, power)| bytes >= 1 << power) {
                    Some((unit, power)) => write!(f, "{:.1} {unit}", bytes as f64 / f64::from(1_u32 << power)),
                    None => write!(f, "{bytes} B"),
                }
            }
        }
    }
}

const UNITS: [(&str, f64); 10] = [
    ("", 1.0),
    ("b", 1.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("tib", 1_099_511_627_776.0),
];

fn parse(text: &str) -> Result<usize, Error> {
    let trimmed = text.trim();
    let (number, unit) = trimmed.split_at(trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len()));
    let unit = unit.trim_start().to_ascii_lowercase();
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|&(_, scale)| scale);
    let bytes = number.parse::<f64>().ok().zip(scale).map(|(number, scale)| number * scale);
    match bytes {
        Some(bytes) if bytes < usize::MAX as f64 => Ok(bytes as usize),
        Some(_) | None => {
            let requirement = "a number and a unit, such as `256 MiB` or `1.5 GB`";
            Err(Error::InvalidText { setting: "an amount of memory", text: text.to_owned(), requirement })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [
            ("256 MiB", 256 << 20),
            ("256MiB", 256 << 20),
            (" 1.5 gib ", 3 << 29),
            ("2 kB", 2000),
            ("2 KB", 2000),
            ("10", 10),
            ("10 B", 10),
            ("0.5 KiB", 512),
            (".5 tb", 500_000_000_000),
        ] {
            assert_eq!(text.parse::<MemorySize>().unwrap().bytes().unwrap(), bytes, "{text}");
            assert_eq!(MemorySize::from(text).bytes().unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn other_text_is_an_error_that_shows_it() {
        for text in ["", "MiB", "256 Mb it", "-1 MiB", "1e3", "1.2.3 MB", "256 MiB/s", "99999999999 TiB", "NaN", "inf", "12 34"] {
            let error = text.parse::<MemorySize>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")) && error.to_string().contains("256 MiB"), "{error}");
        }
    }
}
