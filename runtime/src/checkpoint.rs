//! Runs in files: the state of an outer minimisation, from which it goes on as if it had not been interrupted.
//!
//! A file is text: a line that says what it is, lines `name = value` that say which run it belongs to, lines `name : numbers` with floats as the sixteen
//! digits of their bits, and a last line with a hash of all others. It is written beside its place and then moved there, so that there is always a whole
//! one.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use crate::Error;

const HEADING: &str = "bilevel checkpoint, format 2";

/// What a run must be for a file to belong to it: names and values.
pub(crate) type Identity = Vec<(&'static str, String)>;

/// Writes a file in one piece.
pub(crate) fn write(path: &Path, identity: &Identity, numbers: &[(&'static str, Vec<f64>)]) -> Result<(), Error> {
    let mut text = format!("{HEADING}\n");
    for (name, value) in identity {
        let _ = writeln!(text, "{name} = {value}");
    }
    for (name, numbers) in numbers {
        let _ = write!(text, "{name} :");
        for x in numbers {
            let _ = write!(text, " {:016x}", x.to_bits());
        }
        text.push('\n');
    }
    let _ = writeln!(text, "hash {:016x}", hash(&text));
    let beside = path.with_added_extension("part");
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| refused(path, format!("it cannot be written: {error}")))
}

/// The numbers of a file, in the order in which they were written, if it belongs to the run.
pub(crate) fn read(path: &Path, identity: &Identity, names: &[&'static str]) -> Result<Vec<Vec<f64>>, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| refused(path, format!("it cannot be read: {error}")))?;
    let damaged = || refused(path, "it is damaged, or no checkpoint".to_owned());
    let (body, last) = text.trim_end_matches('\n').rsplit_once('\n').ok_or_else(damaged)?;
    let mut lines = body.lines();
    if lines.next() != Some(HEADING) || last != format!("hash {:016x}", hash(&text[..=body.len()])) {
        return Err(damaged());
    }
    for (name, value) in identity {
        let (found, theirs) = lines.next().and_then(|line| line.split_once(" = ")).ok_or_else(damaged)?;
        if found != *name {
            return Err(damaged());
        }
        if theirs != value {
            return Err(refused(path, format!("its {name} is `{theirs}`, and that of this run is `{value}`")));
        }
    }
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let (found, numbers) = lines.next().and_then(|line| line.split_once(" :")).ok_or_else(damaged)?;
        if found != *name {
            return Err(damaged());
        }
        let bits = numbers.split_whitespace().map(|digits| u64::from_str_radix(digits, 16).map(f64::from_bits));
        all.push(bits.collect::<Result<Vec<f64>, _>>().map_err(|_| damaged())?);
    }
    Ok(all)
}

pub(crate) fn refused(path: &Path, reason: String) -> Error {
    Error::Checkpoint { path: path.display().to_string(), reason }
}

/// FNV-1a of 64 bits.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
