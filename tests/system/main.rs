//! Black-box tests: system.
