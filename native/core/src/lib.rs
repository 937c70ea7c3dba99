//! The gateway's hot structures. Nothing in this crate knows that Python exists.
//!
//! Clock and randomness are arguments, never read here: tests need no sleep and no luck.

// `segment` alone allows it: it lays structures over memory that another owner mapped.
#![deny(unsafe_code)]

pub mod balancer;
pub mod breaker;
pub mod endpoint;
pub mod endpoint_set;
pub mod estimate;
pub mod keyed_hash;
pub mod limiter;
pub mod lru;
pub mod metrics;
pub mod path;
pub mod routes;
pub mod segment;
pub mod timer_wheel;
pub mod window;
