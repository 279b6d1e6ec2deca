//! Random programs of the IR, and random functions in the accepted language: compiled with their derivatives, and run against the reference evaluator.
//!
//! What is drawn goes into files that the crate in `tests/written` includes; cargo builds and runs that. A failure names the seed.
//! `BILEVEL_EMITTED_PROGRAMS=100..200` and `BILEVEL_EMITTED_FUNCTIONS=1000..1300` say which seeds there are. A function that failed once is kept in
//! `regressions/`.

mod broadcasting;
mod expressions;
mod functions;
mod programs;
mod source;
mod statements;
mod templates;
mod types;
mod written;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;

use bilevel_compiler::lower::spellings;

use functions::Summary;
use source::{Function, function};

/// The seeds that a variable of the environment names, or the usual ones.
fn seeds(variable: &str, usual: Range<u64>) -> Range<u64> {
    let Ok(range) = std::env::var(variable) else { return usual };
    let (first, end) = range.split_once("..").expect("a range of seeds");
    first.parse().expect("the first seed")..end.parse().expect("the end of the seeds")
}

/// The functions that failed once, in the form in which they did. The first line is `// seed 123`.
fn regressions() -> Vec<Function> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/random/regressions");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "rs"));
    paths.sort();
    let function = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file");
        let seed = text.lines().next().and_then(|line| line.strip_prefix("// seed ")).and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| panic!("{} begins with its seed", path.display()));
        Function { name: format!("f{seed}"), text, seed }
    };
    paths.into_iter().map(function).collect()
}

/// What every file of functions begins with.
const HEAD: &str = "use bilevel::ndarray::{NewAxis, arr1, arr2};\nuse bilevel::prelude::*;\nuse written::*;\n";

#[test]
fn emitted_code_agrees_with_the_evaluator() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("written");
    std::fs::create_dir_all(&folder).expect("a writable directory");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a writable directory");
    write("written_programs.rs", &programs::file(seeds("BILEVEL_EMITTED_PROGRAMS", 0..16)));

    let range = seeds("BILEVEL_EMITTED_FUNCTIONS", 0..340);
    let drawn = range.end - range.start;
    let mut summary = Summary::default();
    let mut files = [HEAD.to_owned(), HEAD.to_owned()];
    let all = broadcasting::functions().into_iter().chain(regressions()).chain(range.clone().map(function));
    for (k, f) in all.enumerate() {
        if let Some(text) = functions::test_of(&f, &mut summary) {
            files[k % 2].push_str(&text);
        }
    }
    write("written_functions.rs", &files[0]);
    write("more_written_functions.rs", &files[1]);
    println!("functions of seeds {range:?} and what stands in `regressions`: {summary:?}");
    assert!(summary.n_functions as u64 * 20 >= drawn * 19, "too few functions have moderate derivatives: {summary:?}");
    assert!(drawn < 100 || summary.n_exact >= 20, "too little is compared bit for bit: {summary:?}");

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // All of the workspace, so that the features are those of a build that is there already.
    command.args(["test", "--workspace", "--quiet"]);
    command.args(["--test", "written_programs", "--test", "written_functions", "--test", "more_written_functions"]);
    let output = command.env("BILEVEL_WRITTEN", &folder).output().expect("cargo runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the files are in {}\n{out}\n{err}", folder.display());
    // An empty test passes as well.
    let passed: usize = out.lines().filter_map(|l| l.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<usize>().ok()).sum();
    assert!(passed >= summary.n_functions, "{passed} tests ran, of {} functions\n{out}\n{err}", summary.n_functions);
}

/// Spellings that no random function has, and why.
const NOT_DRAWN: &[(&str, &str)] = &[
    ("F::", "random functions are of `f64`; the test `generics` has functions of type parameters"),
    ("to_f64", "likewise"),
    ("slice_move", "rustc learns too late how many axes its result has for an index behind it; the test `surface` has it"),
];

#[test]
fn every_spelling_is_drawn() {
    let text: String = (0..340).map(|seed| function(seed).text).collect();
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let missing: Vec<&str> = spellings()
        .iter()
        .map(|s| s.name)
        .filter(|name| !name.split("::").all(|part| words.contains(part)) && !NOT_DRAWN.iter().any(|(not, _)| name.starts_with(not)))
        .collect();
    assert!(missing.is_empty(), "spellings that no random function has: {missing:?}");
    for (name, _) in NOT_DRAWN {
        assert!(!words.contains(name), "`{name}` is drawn");
    }
}
