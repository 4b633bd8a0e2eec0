//! Exchanges with a peer that says anything.

use zeroize::Zeroizing;

use crate::auth::{
    Binding, ClientKeys, EndPointHash, ExpectClientFirst, RAW_NONCE, SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS, SaltedPassword, Verifier, start,
};

/// Nonce of both sides; what it is does not matter here.
const NONCE: [u8; RAW_NONCE] = *b"eighteen bytes ...";

/// Keys that no message in the input can have been made with.
fn salted() -> SaltedPassword {
    SaltedPassword::new(Zeroizing::new([0x5a; 32]))
}

/// The server's side: the first byte chooses mechanism and binding, the rest is two messages with a line
/// feed between them. Whoever is let in has shown the right key.
pub fn scram_server(data: &[u8]) {
    let Some((choice, messages)) = data.split_first() else { return };
    let Ok(verifier) = Verifier::derive(b"pencil", b"sixteen bytes of", 1) else { return };
    let binding = if choice & 2 == 0 { None } else { certificate_hash() };
    let mechanism = if choice & 1 == 0 { SCRAM_SHA_256 } else { SCRAM_SHA_256_PLUS };
    let (first, last) = two_messages(messages);
    let Ok(state) = ExpectClientFirst::new(verifier.clone(), binding, mechanism) else { return };
    let Ok((state, challenge)) = state.client_first(first, &NONCE) else { return };
    assert!(challenge.starts_with(b"r="), "a challenge begins with the nonce");
    assert!(challenge.ends_with(b",i=1"), "a challenge ends with the count");
    if let Ok(authenticated) = state.client_final(last) {
        assert!(verifier.accepts(&authenticated.client_key), "a wrong key was let in");
    }
}

/// The client's side: two messages with a line feed between them. No one who lacks the key is believed.
pub fn scram_client(data: &[u8]) {
    let (first, last) = two_messages(data);
    // Once as it is, once behind our own nonce, so that the exchange gets further.
    let mut echoed = b"r=ZWlnaHRlZW4gYnl0ZXMgLi4u".to_vec();
    echoed.extend_from_slice(first);
    for challenge in [first, &*echoed] {
        let (state, message) = start(Binding::No, &NONCE);
        assert!(message.starts_with(b"n,,n=,r="), "the first message begins with the header");
        let Ok(challenge) = state.server_first(challenge) else { continue };
        assert!(!challenge.salt().is_empty(), "a salt is never empty");
        let (state, _) = challenge.answer(&ClientKeys::from_salted(&salted()));
        assert!(state.server_final(last).is_err(), "a forged signature was believed");
    }
}

fn two_messages(data: &[u8]) -> (&[u8], &[u8]) {
    let cut = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (first, last) = data.split_at_checked(cut).unwrap_or((data, &[]));
    (first, last.get(1..).unwrap_or_default())
}

/// The hash of the shortest thing that has the outer form of a certificate signed by ECDSA with SHA-256.
fn certificate_hash() -> Option<EndPointHash> {
    const CERTIFICATE: &[u8] =
        b"\x30\x12\x30\x00\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x03\x02\x00\x00";
    EndPointHash::of_certificate(CERTIFICATE).ok().flatten()
}
