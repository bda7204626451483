//! Whether a delivery was signed with one of our secrets: HMAC-SHA256 over the body, compared in constant time.
//! Looks at bytes only; nothing is parsed before this says yes.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Secrets, each already taken through the part of the computation that no body changes.
pub(super) struct Keys(Vec<Hmac<Sha256>>);

/// What `X-Hub-Signature-256` claims.
pub(super) struct Signature([u8; 32]);

impl Keys {
    /// Keys for the configured secrets. Without any, nothing verifies.
    pub(super) fn new(secrets: &[SecretString]) -> Self {
        let key = |secret: &SecretString| {
            Hmac::new_from_slice(secret.expose_secret().as_bytes()).expect("a key of any length will do")
        };
        Self(secrets.iter().map(key).collect())
    }

    /// Whether any of the secrets signed this body. The first one costs one pass over it, a wrong one as many as there are.
    pub(super) fn signed(&self, body: &[u8], signature: &Signature) -> bool {
        self.0.iter().any(|key| key.clone().chain_update(body).verify_slice(&signature.0).is_ok())
    }
}

impl Signature {
    /// Reads `sha256=` and 64 hexadecimal digits.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(header.strip_prefix(b"sha256=")?, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's page "Validating webhook deliveries".
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn keys(secrets: &[&str]) -> Keys {
        Keys::new(&secrets.iter().map(|secret| SecretString::from(*secret)).collect::<Vec<_>>())
    }

    fn signed(secrets: &[&str], body: &[u8], header: &str) -> bool {
        Signature::parse(header.as_bytes()).is_some_and(|signature| keys(secrets).signed(body, &signature))
    }

    #[test]
    fn githubs_own_example_verifies() {
        assert!(signed(&[SECRET], BODY, SIGNATURE));
        assert!(signed(&["old", SECRET], BODY, SIGNATURE), "any of several secrets may have signed");
    }

    #[test]
    fn anything_else_does_not() {
        assert!(!signed(&[], BODY, SIGNATURE), "no secret, no delivery");
        assert!(!signed(&["other"], BODY, SIGNATURE));
        assert!(!signed(&[SECRET], b"Hello, World?", SIGNATURE));
        for header in [
            "",
            "sha256=",
            "sha256=abcd",
            &SIGNATURE[7..],
            &SIGNATURE.replace('7', "g"),
            &SIGNATURE.replace("256", "1"),
        ] {
            assert!(!signed(&[SECRET], BODY, header), "{header}");
        }
    }
}
