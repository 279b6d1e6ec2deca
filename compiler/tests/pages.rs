//! The pages in `docs/` are true: the language page is what the table of spellings says, and the lines of the worked example are in the files that it names.
//! `BILEVEL_BLESS=1` rewrites the language page.

use std::path::{Path, PathBuf};

use bilevel_compiler::lower::{Category, On, refused_spellings, spellings};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The marks between which a page is made from the table.
const BEGIN: &str = "<!-- made from the table of spellings; BILEVEL_BLESS=1 cargo test -p bilevel-compiler --test pages -->\n";
const END: &str = "<!-- end of what is made from the table -->\n";

fn receiver(on: On) -> &'static str {
    match on {
        On::Numbers => "numbers",
        On::Arrays => "arrays",
        On::Both => "numbers, arrays",
        On::Iterators => "iterators, `Zip`",
        On::Anything => "anything",
        On::Places => "parts of `let mut` arrays",
        On::Nothing => "",
    }
}

/// The spellings as tables, a section for each category.
fn tables() -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut page = String::new();
    let all = spellings();
    for &category in Category::ALL {
        page.push_str(&format!("\n### {}\n\n| in Rust | on | lowers to |\n| --- | --- | --- |\n", category.title()));
        for s in all.iter().filter(|s| s.category == category) {
            page.push_str(&format!("| `{}` | {} | {} |\n", cell(s.name), receiver(s.on), cell(&s.lowers_to)));
        }
    }
    page.push_str("\n### Not understood, and what to write instead\n\n| in Rust | instead |\n| --- | --- |\n");
    for (name, instead) in refused_spellings() {
        page.push_str(&format!("| `{}` | {} |\n", cell(name), cell(instead)));
    }
    page.push('\n');
    page
}

#[test]
fn the_language_page_is_what_the_table_says() {
    let path = "docs/language.md";
    let page = read(path);
    let (before, rest) = page.split_once(BEGIN).expect("the mark before the tables");
    let (_, after) = rest.split_once(END).expect("the mark after the tables");
    let expected = format!("{before}{BEGIN}{}{END}{after}", tables());
    if std::env::var_os("BILEVEL_BLESS").is_some() {
        std::fs::write(root().join(path), &expected).expect("a writable page");
        return;
    }
    assert!(page == expected, "the table of spellings has changed; rewrite the page with BILEVEL_BLESS=1 and review it");
}

#[test]
fn lines_of_the_worked_example_are_in_their_files() {
    let page = read("docs/adding-an-op.md");
    let mut n_lines = 0;
    // "`path`:" on a line of its own, then a fenced block.
    for (path, block) in page.split("```rust\n").skip(1).zip(page.split("```rust\n")).map(|(block, before)| {
        let path = before.trim_end().lines().last().unwrap_or_default();
        (path.trim_end_matches(':').trim_matches('`').to_owned(), block.split("```").next().unwrap_or_default())
    }) {
        let file = read(&path);
        let block = block.trim_end();
        assert!(file.contains(block), "the lines shown are not in {path}:\n{block}");
        n_lines += block.lines().count();
    }
    assert!(n_lines >= 12, "{n_lines} lines");
}

#[test]
fn files_that_pages_name_exist() {
    for page in ["docs/adding-an-op.md", "docs/kinks.md", "docs/language.md", "docs/architecture.md", "README.md"] {
        let text = read(page);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for link in links.filter(|l| !l.starts_with("http")) {
            let path = root().join(page).with_file_name(link.split('#').next().unwrap_or(link));
            assert!(path.exists(), "{page} links to {link}");
        }
    }
}
