//! What users see when the macros refuse a program. One folder per group of messages; `TRYBUILD=overwrite` rewrites the expected output.

#[test]
fn refused_programs() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*/*.rs");
}
