//! A real one-node Kubernetes cluster for tests and the demo.
