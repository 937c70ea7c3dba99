//! Exports Cython's module initialisers.
//!
//! rustc's version script hides every C symbol of a linked archive, so `build.rs`
//! compiles each generated C file with `-DPyInit_X=cy_PyInit_X` and writes, for each,
//! an exported `PyInit_X` that calls it. `gateway/cext/__init__.py` loads them by name.

include!(concat!(env!("OUT_DIR"), "/cython_modules.rs"));
