//! Black-box tests: operator.
