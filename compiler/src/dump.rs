//! `BILEVEL_DUMP=ir`, `BILEVEL_DUMP=rust` or `BILEVEL_DUMP=ir,rust`: what the compiler makes of each item, stage by stage, as files in
//! `target/bilevel/CRATE/ITEM/`.
//!
//! The IR of every function is written where it was lowered, optimised, and after each derivation, numbered in the order of the stages; the Rust is what the macro
//! gives back. Cargo does not know of the variable: `touch` the file, or change it, to have it expanded again.
//!
//! Nothing here may fail a build: a file that cannot be written is left out. Files appear as a whole, by renaming, since several compilers may
//! run at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::ir::Func;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct What {
    /// The IR after each stage.
    pub ir: bool,
    /// The generated Rust.
    pub rust: bool,
}

/// The item that is being expanded on this thread.
struct Item {
    what: What,
    folder: PathBuf,
    n_stages: usize,
}

thread_local! {
    static ITEM: RefCell<Option<Item>> = const { RefCell::new(None) };
    /// Where tests want the files, and which; otherwise the environment says it.
    static REDIRECTED: RefCell<Option<(What, PathBuf)>> = const { RefCell::new(None) };
    /// How often each name was expanded: a crate may have several functions of one name.
    static EXPANDED: RefCell<HashMap<PathBuf, usize>> = RefCell::new(HashMap::new());
}

/// Runs `f`, which expands items, with the files written below a folder, whatever the environment says.
pub fn redirected<T>(what: What, folder: &Path, f: impl FnOnce() -> T) -> T {
    REDIRECTED.set(Some((what, folder.to_owned())));
    let out = f();
    REDIRECTED.set(None);
    out
}

/// Expands an item, with the files that are asked for.
pub(crate) fn item(tokens: &TokenStream, expand: impl FnOnce() -> TokenStream) -> TokenStream {
    begin(tokens);
    let out = expand();
    end(&out);
    out
}

/// The name after the first `fn` or `mod`, also in groups, since an expansion that goes on with what it asked for has its item inside of one.
fn name_of(tokens: &TokenStream) -> Option<String> {
    let mut tokens = tokens.clone().into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "fn" || word == "mod" => {
                return tokens.next().map(|name| name.to_string().trim_start_matches("r#").to_owned());
            }
            TokenTree::Group(group) => {
                if let Some(name) = name_of(&group.stream()) {
                    return Some(name);
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    None
}

/// Everything until [`end`] belongs to this item.
fn begin(tokens: &TokenStream) {
    let from_environment = || Some((asked(&env::var("BILEVEL_DUMP").ok()?), target_folder()?.join("bilevel")));
    let asked = REDIRECTED.with_borrow(Clone::clone).or_else(from_environment);
    let current = asked.filter(|(what, _)| what.ir || what.rust).zip(name_of(tokens)).map(|((what, folder), item)| {
        let krate = env::var("CARGO_CRATE_NAME").unwrap_or_else(|_| "crate".to_owned());
        let mut folder = folder.join(krate).join(&item);
        let n = EXPANDED.with_borrow_mut(|expanded| {
            let n = expanded.entry(folder.clone()).or_default();
            *n += 1;
            *n
        });
        if n > 1 {
            folder.set_file_name(format!("{item}_{n}"));
        }
        Item { what, folder, n_stages: 0 }
    });
    ITEM.set(current);
}

/// Writes the IR of a function after a stage.
pub(crate) fn ir(stage: &str, f: &Func) {
    ITEM.with_borrow_mut(|item| {
        let Some(item) = item.as_mut().filter(|item| item.what.ir) else { return };
        item.n_stages += 1;
        write(&item.folder.join(format!("{:02}_{}_{stage}.ir", item.n_stages, f.name)), &f.to_string());
    });
}

/// Writes what the macro gives back, and ends the item.
fn end(generated: &TokenStream) {
    let item = ITEM.take();
    if let Some(item) = item.filter(|item| item.what.rust) {
        write(&item.folder.join("generated.rs"), &legible(generated));
    }
}

fn asked(value: &str) -> What {
    let has = |word: &str| value.split(',').any(|w| w.trim() == word);
    What { ir: has("ir"), rust: has("rust") }
}

/// Cargo's target directory, as far as a macro can know it: from the environment, from where rustc is told to put its output, or beside the lock file.
fn target_folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR") {
        return Some(folder.into());
    }
    let mut args = env::args_os();
    let out = args.by_ref().find(|arg| arg == "--out-dir").and_then(|_| args.next()).map(PathBuf::from);
    let marked = out.iter().flat_map(|out| out.ancestors()).find(|folder| folder.join("CACHEDIR.TAG").exists());
    if let Some(folder) = marked {
        return Some(folder.to_owned());
    }
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    package.ancestors().find(|folder| folder.join("Cargo.lock").exists()).map(|workspace| workspace.join("target"))
}

/// Writes a file as a whole, or not at all.
fn write(path: &Path, text: &str) {
    let Some(folder) = path.parent() else { return };
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&temporary, text)).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Nothing can be done about what could not be written, and the build does not depend on it.
        let _ = fs::remove_file(&temporary);
    }
}

/// Tokens as text with a line for each statement. It reads back as the same tokens; `rustfmt` makes it beautiful.
fn legible(tokens: &TokenStream) -> String {
    let mut text = String::new();
    lines(tokens.clone(), 0, &mut text);
    text
}

fn lines(tokens: TokenStream, depth: usize, text: &mut String) {
    let new_line = |text: &mut String, depth: usize| {
        text.truncate(text.trim_end().len());
        text.push('\n');
        text.push_str(&"    ".repeat(depth));
    };
    // Tokens between two ends of lines are printed together, so that the joints of operators stay as they are.
    let mut line = TokenStream::new();
    let flush = |line: &mut TokenStream, text: &mut String| {
        if !line.is_empty() {
            text.push_str(&std::mem::take(line).to_string());
            text.push(' ');
        }
    };
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !group.stream().is_empty() => {
                flush(&mut line, text);
                text.push('{');
                new_line(text, depth + 1);
                lines(group.stream(), depth + 1, text);
                new_line(text, depth);
                text.push('}');
                if tokens.peek().is_some_and(|next| matches!(next, TokenTree::Ident(name) if name != "else") || is_punct(next, '#')) {
                    new_line(text, depth);
                } else {
                    text.push(' ');
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                line.extend([token]);
                flush(&mut line, text);
                new_line(text, depth);
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket && ends_attribute(&line) => {
                line.extend([token]);
                flush(&mut line, text);
                new_line(text, depth);
            }
            TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => line.extend([token]),
        }
    }
    flush(&mut line, text);
}

fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == c)
}

/// Whether the line so far is a `#`, so that brackets after it are an attribute.
fn ends_attribute(line: &TokenStream) -> bool {
    let mut tokens = line.clone().into_iter();
    matches!((tokens.next(), tokens.next()), (Some(first), None) if is_punct(&first, '#'))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::{asked, legible};

    #[test]
    fn the_variable_names_one_or_both() {
        assert!(asked("ir").ir && !asked("ir").rust);
        assert!(asked("ir, rust").ir && asked("ir, rust").rust);
        assert!(!asked("1").ir && !asked("1").rust);
    }

    #[test]
    fn text_reads_back_as_the_same_tokens() {
        let tokens = quote! {
            /// A function.
            #[inline]
            pub fn f<'a>(x: &'a [f64]) -> f64 {
                let y = if x.len() >= 2 { x[0] } else { 0.0 };
                rt::map(&mut z, |v| { v + -1.0 });
                y
            }
            mod f {}
        };
        let text = legible(&tokens);
        let again: proc_macro2::TokenStream = text.parse().unwrap();
        assert_eq!(again.to_string(), tokens.to_string());
        assert!(text.lines().count() >= 8, "{text}");
    }
}
