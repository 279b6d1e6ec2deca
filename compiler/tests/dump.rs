//! `BILEVEL_DUMP` writes every stage of an item, and the files are what they say.

use std::path::{Path, PathBuf};

use bilevel_compiler::dump::{What, redirected};
use bilevel_compiler::ir::text::parse;
use proc_macro2::TokenStream;

const FUNCTION: &str = "fn energy(x: &Array1<f64>, w: f64) -> f64 { (x * w).sin().sum() }";

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn expand(what: What, folder: &Path) -> String {
    let item: TokenStream = FUNCTION.parse().unwrap();
    redirected(what, folder, || bilevel_compiler::differentiable(TokenStream::new(), item)).to_string()
}

/// The names of the files of the item, and their texts, in order.
fn files(folder: &Path, item: &str) -> Vec<(String, String)> {
    let Some(krate) = std::fs::read_dir(folder).ok().and_then(|mut entries| entries.next()) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(krate.unwrap().path().join(item)) else { return Vec::new() };
    let mut files: Vec<(String, String)> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn every_stage_of_a_function_is_written_and_reads_back() {
    let folder = folder("dump_ir");
    expand(What { ir: true, rust: false }, &folder);
    let files = files(&folder, "energy");
    assert_eq!(files[0].0, "01_energy_lowered.ir");
    assert_eq!(files[1].0, "02_energy_optimized.ir");
    for stage in
        ["_jvp_forward", "_jvp_optimized", "_linearized_known", "_linearized_linear", "_transposed", "_grad_optimized", "_hvp_optimized"]
    {
        assert!(
            files.iter().any(|(name, _)| name.contains(stage)),
            "{stage} is not among {:?}",
            files.iter().map(|f| &f.0).collect::<Vec<_>>()
        );
    }
    for (name, text) in &files {
        parse(text).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
    }
}

#[test]
fn the_generated_rust_is_written_as_it_is_given_back() {
    let folder = folder("dump_rust");
    let out = expand(What { ir: false, rust: true }, &folder);
    let files = files(&folder, "energy");
    assert_eq!(files.len(), 1, "{files:?}");
    let again: TokenStream = files[0].1.parse().unwrap();
    assert_eq!(again.to_string(), out);
    syn::parse_file(&files[0].1).unwrap();
}

#[test]
fn functions_of_one_name_have_folders_of_their_own() {
    let folder = folder("dump_twice");
    for _ in 0..2 {
        expand(What { ir: true, rust: false }, &folder);
    }
    assert!(!files(&folder, "energy").is_empty() && !files(&folder, "energy_2").is_empty());
}

#[test]
fn a_folder_that_cannot_be_written_changes_nothing() {
    let blocked = folder("dump_blocked");
    std::fs::write(&blocked, "a file where the folder should be").unwrap();
    let out = expand(What { ir: true, rust: true }, &blocked.join("below"));
    assert!(!out.contains("compile_error"), "{out}");
    std::fs::remove_file(&blocked).unwrap();
}

#[test]
fn nothing_is_written_where_nothing_is_asked_for() {
    let folder = folder("dump_nothing");
    expand(What::default(), &folder);
    assert!(!folder.exists());
}
