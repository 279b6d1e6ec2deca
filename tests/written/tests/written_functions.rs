//! A part of the random functions. See the test `random`, which writes them.

#![cfg(written)]
#![allow(warnings)]

include!(concat!(env!("BILEVEL_WRITTEN"), "/written_functions.rs"));
