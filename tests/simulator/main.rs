//! Black-box tests: simulator.
