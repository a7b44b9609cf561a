//! Black-box tests: sidecar.
