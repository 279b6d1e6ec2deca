//! Says where the files are that the test `random` has written, if it is that test which builds this crate.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(written)");
    println!("cargo::rerun-if-env-changed=BILEVEL_WRITTEN");
    if let Ok(folder) = std::env::var("BILEVEL_WRITTEN") {
        println!("cargo::rustc-cfg=written");
        println!("cargo::rustc-env=BILEVEL_WRITTEN={folder}");
    }
}
