//! The other part of the random functions. See the test `random`, which writes them.

#![cfg(written)]
#![allow(warnings)]

include!(concat!(env!("BILEVEL_WRITTEN"), "/more_written_functions.rs"));
