//! What users see when the macros refuse a program. One folder per group of messages; `TRYBUILD=overwrite` rewrites the expected output.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bilevel_compiler::diagnostics::messages;

#[test]
fn refused_programs() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*/*.rs");
}

/// Messages that no program here can show, and why.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("B0110", "rustc refuses the module of another file itself, before the macro is called"),
    ("B0216", "rustc's own errors about a type of infinite size stand around it, and name generated items"),
    ("B0614", "it stands behind the checks that name the operands and their shapes, as the last one"),
    ("B0801", "every operation that lowers has an exact derivative so far"),
    ("B0901", "a defect that is known is repaired"),
];

/// Cases whose error is rustc's own, about code that the macro made for that: they need no help line of ours.
const WITHOUT_HELP: &[(&str, &str)] = &[
    ("calls/constant_shadowed", "the values are compared in a constant, whose message is one line; it says which other constant is meant"),
    ("signatures/alias_of_another_type", "a type is not what its name says: rustc names the type that was expected, and the one found"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail")
}

/// The names and the expected outputs of all cases.
fn cases() -> Vec<(String, String)> {
    let entries = |folder: &Path| {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let files = entries(&folder()).into_iter().filter(|path| path.is_dir()).flat_map(|folder| entries(&folder));
    let programs = files.filter(|path| path.extension().is_some_and(|e| e == "rs"));
    programs
        .map(|path| {
            let name = path.with_extension("").strip_prefix(folder()).expect("inside").display().to_string();
            let expected = std::fs::read_to_string(path.with_extension("stderr")).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, expected)
        })
        .collect()
}

#[test]
fn every_message_is_shown_with_its_help() {
    let cases = cases();
    assert!(cases.len() >= 80, "{} cases", cases.len());
    let mut shown: BTreeSet<&str> = BTreeSet::new();
    for (name, expected) in &cases {
        let helped = expected.contains("help: ");
        assert!(helped != WITHOUT_HELP.iter().any(|(other, _)| other == name), "{name} has a help line, or a reason why not");
        for message in messages::ALL {
            // A message that is shown ends with its code, at the end of its help line.
            if expected.lines().any(|line| line.trim_start().starts_with("help: ") && line.ends_with(&format!("[{}]", message.code))) {
                shown.insert(message.code);
            }
        }
    }
    for message in messages::ALL {
        let excused = NOT_SHOWN.iter().any(|(code, _)| *code == message.code);
        assert!(
            shown.contains(message.code) != excused,
            "{} has a case or a reason why not, and not both: {}",
            message.code,
            message.sentence
        );
    }
}
