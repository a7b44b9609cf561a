//! A secret that can be compared with and not read.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// SHA-256 of a secret. Two of them have the same length whatever they were made of, so that comparing them takes the same time
/// for every guess; and there is no secret left in memory to leak.
pub struct SecretDigest([u8; 32]);

// === impl SecretDigest ===

impl SecretDigest {
    pub fn of(secret: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(secret.as_ref()).into())
    }

    /// Whether both were made of the same secret, in constant time.
    pub fn matches(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(..)")
    }
}
