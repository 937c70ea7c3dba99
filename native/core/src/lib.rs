//! The gateway's hot structures. Nothing in this crate knows that Python exists.

pub mod path;
pub mod routes;
