use zeroize::Zeroizing;

use super::*;
use crate::auth::{ClientKey, ExpectClientFirst, IterationsError, SaltedPassword, ScramError};

const NONCE: [u8; RAW_NONCE] = [3; RAW_NONCE];

fn hash() -> EndPointHash {
    // The outer form of a certificate signed by ECDSA with SHA-256.
    let certificate =
        b"\x30\x12\x30\x00\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x03\x02\x00\x00";
    EndPointHash::of_certificate(certificate).unwrap().unwrap()
}

fn keys(password: &[u8], challenge: &Challenge) -> ClientKeys {
    let salted =
        SaltedPassword::derive(password, challenge.salt(), challenge.iterations()).unwrap();
    ClientKeys::from_salted(&salted)
}

fn challenged(message: &[u8]) -> Result<Challenge, ClientError> {
    let (state, _) = start_with(Binding::No, "", "abc");
    state.server_first(message)
}

#[test]
fn the_exchange_of_rfc_7677_is_played_as_printed() {
    let (state, message) = start_with(Binding::No, "user", "rOprNGfwEbeRWgbNEkqO");
    assert_eq!(message, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let challenge = state
        .server_first(
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        )
        .unwrap();
    let keys = keys(b"pencil", &challenge);
    let (state, message) = challenge.answer(&keys);
    assert_eq!(
        message,
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
          p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    state.server_final(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
}

/// Plays both sides.
fn log_in(
    mechanism: Mechanism,
    verifier: &Verifier,
    at_server: Option<EndPointHash>,
    keys: impl FnOnce(&Challenge) -> ClientKeys,
) -> Result<ClientKey, ScramError> {
    let server = ExpectClientFirst::new(verifier.clone(), at_server, mechanism.name)?;
    let (client, first) = start(mechanism.binding, &NONCE);
    let (server, challenge) = server.client_first(&first, &[4; RAW_NONCE])?;
    let challenge = client.server_first(&challenge).unwrap();
    let keys = keys(&challenge);
    let (client, last) = challenge.answer_as(&keys, verifier).unwrap();
    let authenticated = server.client_final(&last)?;
    client.server_final(&authenticated.server_final).unwrap();
    Ok(authenticated.client_key)
}

#[test]
fn a_key_learnt_at_one_login_is_good_for_the_next() {
    let verifier = Verifier::derive("p\u{e4}ss".as_bytes(), b"sixteen bytes of", 3).unwrap();
    let plain = || choose([SCRAM_SHA_256], false, None, BindingPolicy::Prefer).unwrap();
    let learnt = log_in(plain(), &verifier, None, |c| keys("p\u{e4}ss".as_bytes(), c)).unwrap();
    let passed_on = ClientKeys::from_login(learnt, &verifier).unwrap();
    let again = log_in(plain(), &verifier, None, |_| passed_on.clone()).unwrap();
    assert_eq!(ClientKeys::from_login(again, &verifier), Some(passed_on));
}

#[test]
fn a_key_is_useless_once_the_password_was_changed() {
    let old = Verifier::derive(b"old", b"sixteen bytes of", 2).unwrap();
    let new = Verifier::derive(b"new", b"sixteen bytes of", 2).unwrap();
    let key = SaltedPassword::derive(b"old", b"sixteen bytes of", 2).unwrap().client_key();
    assert_eq!(ClientKeys::from_login(key.clone(), &new), None);
    let keys = ClientKeys::from_login(key, &old).unwrap();

    let other_salt = Verifier::derive(b"old", b"another salt", 2).unwrap();
    let (state, _) = start(Binding::No, &NONCE);
    let challenge = state
        .server_first(format!("r={}x,s=YW5vdGhlciBzYWx0,i=2", base64(&NONCE)).as_bytes())
        .unwrap();
    assert!(challenge.is_from(&other_salt) && !challenge.is_from(&old));
    assert_eq!(challenge.answer_as(&keys, &old).unwrap_err(), ClientError::OtherVerifier);
}

#[test]
fn a_bound_login_works_and_a_tampered_one_does_not() {
    let verifier = Verifier::derive(b"pw", b"salt", 1).unwrap();
    let offered = crate::auth::offered(Some(&hash()));
    let mechanism =
        choose(offered.iter().copied(), true, Some(hash()), BindingPolicy::Require).unwrap();
    assert_eq!(mechanism.name, SCRAM_SHA_256_PLUS);
    assert!(log_in(mechanism, &verifier, Some(hash()), |c| keys(b"pw", c)).is_ok());

    // Someone in the middle strikes the mechanism with channel binding from the offer.
    let mechanism = choose([SCRAM_SHA_256], true, Some(hash()), BindingPolicy::Prefer).unwrap();
    assert_eq!(mechanism.binding, Binding::ServerLacksIt);
    let refused = log_in(mechanism, &verifier, Some(hash()), |c| keys(b"pw", c));
    assert_eq!(refused.unwrap_err(), ScramError::Downgrade);
}

#[test]
fn the_mechanism_follows_from_offer_certificate_and_policy() {
    use BindingPolicy::{Disable, Prefer, Require};
    let both = [SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
    let plain = |binding| Ok(Mechanism { name: SCRAM_SHA_256, binding });
    let plus = Ok(Mechanism { name: SCRAM_SHA_256_PLUS, binding: Binding::Bound(hash()) });
    let only = [SCRAM_SHA_256];
    let foreign = [&b"OAUTHBEARER"[..]];
    for (offered, tls, certificate, policy, expected) in [
        (&both[..], true, Some(hash()), Prefer, plus.clone()),
        (&both, true, Some(hash()), Require, plus),
        (&both, true, Some(hash()), Disable, plain(Binding::No)),
        (&both, true, None, Prefer, plain(Binding::No)),
        (&both, true, None, Require, Err(ClientError::BindingRequired)),
        (&both, false, None, Prefer, Err(ClientError::PlusWithoutTls)),
        (&only, true, Some(hash()), Prefer, plain(Binding::ServerLacksIt)),
        (&only, true, Some(hash()), Disable, plain(Binding::No)),
        (&only, true, Some(hash()), Require, Err(ClientError::BindingRequired)),
        (&only, false, None, Prefer, plain(Binding::No)),
        (&only, false, None, Require, Err(ClientError::BindingRequired)),
        (&foreign, false, None, Prefer, Err(ClientError::NoMechanism)),
        (&[], true, None, Prefer, Err(ClientError::NoMechanism)),
    ] {
        let chosen = choose(offered.iter().copied(), tls, certificate, policy);
        assert_eq!(chosen, expected, "{policy:?} tls={tls}");
    }
}

#[test]
fn challenges_that_do_not_make_sense_are_refused() {
    assert!(challenged(b"r=abcd,s=c2FsdA==,i=1").is_ok());
    for (message, error) in [
        (&b""[..], ClientError::Malformed(Flaw::Empty)),
        (b"r=abc,s=c2FsdA==,i=1", ClientError::NonceMismatch),
        (b"r=abX,s=c2FsdA==,i=1", ClientError::NonceMismatch),
        (b"r=,s=c2FsdA==,i=1", ClientError::NonceMismatch),
        (b"r=abcd,s=,i=1", ClientError::Salt),
        (b"r=abcd,s=c2FsdA=,i=1", ClientError::Salt),
        (b"r=abcd,s=c2FsdA==,i=0", ClientError::Iterations),
        (b"r=abcd,s=c2FsdA==,i=-1", ClientError::Iterations),
        (b"r=abcd,s=c2FsdA==,i=", ClientError::Iterations),
        (b"r=abcd,s=c2FsdA==,i=5000001", ClientError::Iterations),
        (b"r=abcd,s=c2FsdA==,i=99999999999999999999", ClientError::Iterations),
        (b"r=abcd,s=c2FsdA==", ClientError::Malformed(Flaw::Expected { due: b'i', found: 0 })),
        (b"r=abcd,s=c2FsdA==,i=1,x=y", ClientError::Malformed(Flaw::Garbage)),
        (
            b"m=ext,r=abcd,s=c2FsdA==,i=1",
            ClientError::Malformed(Flaw::Expected { due: b'r', found: b'm' }),
        ),
        (&[b'r'; MAX_SERVER_MESSAGE + 1], ClientError::TooLong),
    ] {
        assert_eq!(
            challenged(message).unwrap_err(),
            error,
            "{:?}",
            String::from_utf8_lossy(message)
        );
    }
}

#[test]
fn only_the_right_signature_is_believed() {
    let answered = || {
        let challenge = challenged(b"r=abcd,s=c2FsdA==,i=1").unwrap();
        let keys = keys(b"pw", &challenge);
        challenge.answer(&keys).0
    };
    let forged = format!("v={}", base64(&[0; KEY_LEN]));
    assert_eq!(answered().server_final(forged.as_bytes()), Err(ClientError::Signature));
    assert_eq!(answered().server_final(b"v="), Err(ClientError::Signature));
    assert_eq!(answered().server_final(b"v=AAAA"), Err(ClientError::Signature));
    assert_eq!(
        answered().server_final(b"e=invalid-proof\x1b[2J"),
        Err(ClientError::Server("invalid-proof?[2J".to_owned()))
    );
    let fault = Flaw::Expected { due: b'v', found: b'x' };
    assert_eq!(answered().server_final(b"x=1"), Err(ClientError::Malformed(fault)));
    assert_eq!(answered().server_final(b""), Err(ClientError::Malformed(Flaw::Empty)));
    assert_eq!(
        answered().server_final(format!("{forged},x=y").as_bytes()),
        Err(ClientError::Malformed(Flaw::Garbage))
    );
}

#[test]
fn counts_out_of_bounds_cost_nothing() {
    for count in [0, MAX_ITERATIONS + 1, u32::MAX] {
        assert_eq!(SaltedPassword::derive(b"pw", b"salt", count), Err(IterationsError(count)));
    }
}

#[test]
fn secrets_are_not_shown() {
    let challenge = challenged(b"r=abcd,s=c2FsdA==,i=1").unwrap();
    let salted = SaltedPassword::new(Zeroizing::new([77; KEY_LEN]));
    let keys = ClientKeys::from_salted(&salted);
    let shown = format!("{salted:?} {keys:?} {:?} {challenge:?}", salted.client_key());
    assert_eq!(
        shown,
        "SaltedPassword(..) ClientKeys(..) ClientKey(..) Challenge { iterations: 1, .. }"
    );
    let (state, _) = challenge.answer(&keys);
    assert_eq!(format!("{state:?}"), "ExpectServerFinal(..)");
}
