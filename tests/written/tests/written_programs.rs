//! Random programs of the IR. See the test `random`, which writes them.

#![cfg(written)]
#![allow(warnings)]

include!(concat!(env!("BILEVEL_WRITTEN"), "/written_programs.rs"));
