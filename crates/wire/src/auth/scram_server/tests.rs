use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use super::*;
use crate::auth::{DEFAULT_ITERATIONS, MAX_SALT, VerifierError};
use crate::sqlstate::SqlState;

const NONCE: [u8; RAW_NONCE] = [7; RAW_NONCE];

/// What PostgreSQL 15 stores for these passwords (`SELECT rolpassword FROM pg_authid`, UTF-8 database).
const STORED: [(&[u8], &str); 4] = [
    (
        b"pencil",
        "SCRAM-SHA-256$4096:Ua3y5lD7lr/Nk0/K0Q4lDA==$wPjICADL7zFyVwTeV0ErxTKbgP68m1Hlkf5gMmRprUE=:\
         ame34fgCTnjm8VYDyEv1M6wLa2Jct68UrKqE4PeTS0E=",
    ),
    (
        "I\u{ad}X".as_bytes(),
        "SCRAM-SHA-256$4096:H+tCOfOeTGNZ/69AAIr2lA==$ZXvBUXqWCb7ZMaTK8AtfICyhqFsuQuHP0Ib6adZd8tM=:\
         2SZoiRguJnlkpKIBjq6phZWElaAJAdEUX+ksT89V6dc=",
    ),
    (
        "a\u{a0}b\u{2168}".as_bytes(),
        "SCRAM-SHA-256$4096:CZrIF88nk/x6hDpNe4pUZA==$c7oB39MFixnCDbFis6/bs8rY0Ht+ZyWNtOYw5VsPQwM=:\
         4Hrd97Ya9W7mfOwJHJAeSHr5sRUjYsrKPPKmGExojig=",
    ),
    (
        "\u{627}1".as_bytes(),
        "SCRAM-SHA-256$4096:eLIftB+4tzDaexP/9S8Bvg==$DO4ZLuTLivX7LJuZaIHEzOk612EwZO6bXl+8i9391qo=:\
         Va1w1VUeJEhTv72QO74C2NHXxHc03IlztlUiw4nb9a4=",
    ),
];

fn verifier() -> Verifier {
    Verifier::derive(b"pencil", b"sixteen bytes of", 2).unwrap()
}

fn hash() -> EndPointHash {
    // The outer form of a certificate signed by ECDSA with SHA-256.
    let certificate =
        b"\x30\x12\x30\x00\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x03\x02\x00\x00";
    EndPointHash::of_certificate(certificate).unwrap().unwrap()
}

/// Lets the client of another implementation log in.
fn log_in(
    verifier: Verifier,
    binding: Option<EndPointHash>,
    mechanism: &[u8],
    password: &[u8],
    theirs: ChannelBinding,
) -> Result<Authenticated, ScramError> {
    let mut client = ScramSha256::new(password, theirs);
    let state = ExpectClientFirst::new(verifier, binding, mechanism)?;
    let (state, challenge) = state.client_first(client.message(), &NONCE)?;
    client.update(&challenge).unwrap();
    let authenticated = state.client_final(client.message())?;
    client.finish(&authenticated.server_final).unwrap();
    Ok(authenticated)
}

fn refused(mechanism: &[u8], binding: Option<EndPointHash>, first: &[u8]) -> ScramError {
    ExpectClientFirst::new(verifier(), binding, mechanism)
        .and_then(|state| state.client_first(first, &NONCE))
        .map(drop)
        .unwrap_err()
}

#[test]
fn the_exchange_of_rfc_7677_is_played_as_printed() {
    let salt = unbase64(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let verifier = Verifier::derive(b"pencil", &salt, 4096).unwrap();
    let state = ExpectClientFirst::new(verifier.clone(), None, SCRAM_SHA_256).unwrap();
    let (state, challenge) = state
        .client_first_with(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
        .unwrap();
    assert_eq!(
        challenge,
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let authenticated = state
        .client_final(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
              p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        .unwrap();
    assert_eq!(authenticated.server_final, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert!(verifier.accepts(&authenticated.client_key));
}

#[test]
fn verifiers_made_by_postgres_are_read_written_and_matched() {
    for (password, text) in STORED {
        let verifier = Verifier::parse(text.as_bytes()).unwrap();
        assert_eq!(*verifier.to_text(), text);
        assert_eq!(
            verifier,
            Verifier::derive(password, verifier.salt(), verifier.iterations()).unwrap()
        );
        assert_eq!(verifier.verify_password(password), Ok(true), "{password:?}");
        assert_eq!(verifier.verify_password(b"other"), Ok(false));
    }
}

#[test]
fn another_client_logs_in_against_verifiers_made_by_postgres() {
    for (password, text) in STORED {
        let verifier = Verifier::parse(text.as_bytes()).unwrap();
        let theirs = ChannelBinding::unsupported();
        let authenticated =
            log_in(verifier.clone(), None, SCRAM_SHA_256, password, theirs).unwrap();
        assert!(verifier.accepts(&authenticated.client_key));
    }
}

#[test]
fn another_client_logs_in_bound_to_the_certificate() {
    let theirs = ChannelBinding::tls_server_end_point(hash().as_bytes().to_vec());
    let done = log_in(verifier(), Some(hash()), SCRAM_SHA_256_PLUS, b"pencil", theirs);
    assert!(done.is_ok());
    // Without TLS on our side, a client that could bind says so, and is let in.
    let theirs = ChannelBinding::unrequested();
    assert!(log_in(verifier(), None, SCRAM_SHA_256, b"pencil", theirs).is_ok());
    // A client that never binds is let in over TLS too.
    let theirs = ChannelBinding::unsupported();
    assert!(log_in(verifier(), Some(hash()), SCRAM_SHA_256, b"pencil", theirs).is_ok());
}

#[test]
fn a_client_bound_to_another_certificate_is_refused() {
    let theirs = ChannelBinding::tls_server_end_point(vec![1; 32]);
    let error =
        log_in(verifier(), Some(hash()), SCRAM_SHA_256_PLUS, b"pencil", theirs).unwrap_err();
    assert_eq!(error, ScramError::BindingMismatch);
    assert_eq!(error.sqlstate(), SqlState::INVALID_AUTHORIZATION);
}

#[test]
fn a_client_that_was_told_we_cannot_bind_is_refused_when_we_can() {
    let error = refused(SCRAM_SHA_256, Some(hash()), b"y,,n=,r=abc");
    assert_eq!(error, ScramError::Downgrade);
    assert_eq!(error.to_string(), "SCRAM channel binding negotiation error");
    assert!(error.detail().unwrap().contains("does not.  However, this server does support"));
}

#[test]
fn wrong_password_and_unknown_user_look_the_same() {
    let wrong = log_in(verifier(), None, SCRAM_SHA_256, b"pencils", ChannelBinding::unsupported());
    assert_eq!(wrong.unwrap_err(), ScramError::WrongProof);
    let mock = Verifier::mock(b"secret of this server", b"nobody", DEFAULT_ITERATIONS);
    let unknown = log_in(mock, None, SCRAM_SHA_256, b"pencil", ChannelBinding::unsupported());
    assert_eq!(unknown.unwrap_err(), ScramError::WrongProof);
    assert_eq!(ScramError::WrongProof.sqlstate(), SqlState::INVALID_PASSWORD);
}

#[test]
fn a_made_up_salt_stays_the_same_for_a_name_and_differs_between_names_and_servers() {
    let mock = |secret: &[u8], user: &[u8]| {
        Verifier::mock(secret, user, DEFAULT_ITERATIONS).salt().to_vec()
    };
    assert_eq!(mock(b"s", b"a"), mock(b"s", b"a"));
    assert_ne!(mock(b"s", b"a"), mock(b"s", b"b"));
    assert_ne!(mock(b"s", b"a"), mock(b"t", b"a"));
    assert_eq!(mock(b"s", b"a").len(), 16, "as long as PostgreSQL's own");
}

#[test]
fn only_offered_mechanisms_may_be_chosen() {
    assert_eq!(offered(None), [SCRAM_SHA_256]);
    assert_eq!(offered(Some(&hash())), [SCRAM_SHA_256_PLUS, SCRAM_SHA_256]);
    for (mechanism, binding) in
        [(SCRAM_SHA_256_PLUS, None), (&b"SCRAM-SHA-1"[..], Some(hash())), (b"", None)]
    {
        let error = ExpectClientFirst::new(verifier(), binding, mechanism).unwrap_err();
        assert_eq!(error, ScramError::Mechanism);
        assert_eq!(error.to_string(), "client selected an invalid SASL authentication mechanism");
    }
}

#[test]
fn first_messages_are_refused_in_the_words_of_postgres() {
    for (message, detail) in [
        (&b""[..], "The message is empty."),
        (b"n,,n=,r=a\0b", "Message length does not match input length."),
        (b"x,,n=,r=a", "Unexpected channel-binding flag \"'x'\"."),
        (b"\x01,,n=,r=a", "Unexpected channel-binding flag \"0x01\"."),
        (b"n;,n=,r=a", "Comma expected, but found character \"';'\"."),
        (b"n", "Comma expected, but found character \"0x00\"."),
        (b"n,x=,n=,r=a", "Unexpected attribute \"'x'\" in client-first-message."),
        (b"n,,r=a", "Expected attribute \"n\" but found \"'r'\"."),
        (b"n,,n", "Expected character \"=\" for attribute \"n\"."),
        (b"n,,n=", "Expected attribute \"r\" but found \"0x00\"."),
        (b"n,,n=,r=a,1=b", "Attribute expected, but found invalid character \"'1'\"."),
        (
            b"p=tls-server-end-point,,n=,r=a",
            "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes \
             channel binding data.",
        ),
    ] {
        let error = refused(SCRAM_SHA_256, None, message);
        assert_eq!(error.to_string(), "malformed SCRAM message", "{message:?}");
        assert_eq!(error.detail().as_deref(), Some(detail), "{message:?}");
        assert_eq!(error.sqlstate(), SqlState::PROTOCOL_VIOLATION);
    }
    let error = refused(SCRAM_SHA_256_PLUS, Some(hash()), b"n,,n=,r=a");
    assert_eq!(error, ScramError::Malformed(Flaw::PlusWithoutBinding));
}

#[test]
fn other_refusals_name_what_is_not_supported() {
    for (mechanism, binding, message, text, code) in [
        (
            SCRAM_SHA_256,
            None,
            &b"n,a=root,n=,r=a"[..],
            "client uses authorization identity, but it is not supported",
            "0A000",
        ),
        (
            SCRAM_SHA_256,
            None,
            b"n,,m=x,n=,r=a",
            "client requires an unsupported SCRAM extension",
            "0A000",
        ),
        (SCRAM_SHA_256, None, b"n,,n=,r=a b", "non-printable characters in SCRAM nonce", "08P01"),
        (
            SCRAM_SHA_256_PLUS,
            Some(hash()),
            b"p=tls-unique\x7f,,n=,r=a",
            "unsupported SCRAM channel-binding type \"tls-unique?\"",
            "08P01",
        ),
    ] {
        let error = refused(mechanism, binding, message);
        assert_eq!((error.to_string().as_str(), error.sqlstate().as_str()), (text, code));
    }
    let long = [b"n,,n=,r=".as_slice(), &[b'a'; MAX_SCRAM_MESSAGE]].concat();
    assert_eq!(refused(SCRAM_SHA_256, None, &long), ScramError::TooLong);
}

#[test]
fn last_messages_are_refused_in_the_words_of_postgres() {
    let nonce = format!("abc{}", base64(&NONCE));
    let proof = base64(&[0; KEY_LEN]);
    for (message, text, detail) in [
        (
            format!("c=eSws,r={nonce},p={proof}"),
            "unexpected SCRAM channel-binding attribute in client-final-message",
            None,
        ),
        (
            format!("c=biws,r={nonce}x,p={proof}"),
            "invalid SCRAM response",
            Some("Nonce does not match."),
        ),
        (
            format!("c=biws,r={nonce}"),
            "malformed SCRAM message",
            Some("Attribute expected, but found end of string."),
        ),
        (
            format!("c=biws,r={nonce},p=AAAA"),
            "malformed SCRAM message",
            Some("Malformed proof in client-final-message."),
        ),
        (
            format!("c=biws,r={nonce},p={proof},x=y"),
            "malformed SCRAM message",
            Some("Garbage found at the end of client-final-message."),
        ),
        (format!("c=biws,r={nonce},x=ext,p={proof}"), "password authentication failed", None),
    ] {
        let state = ExpectClientFirst::new(verifier(), None, SCRAM_SHA_256).unwrap();
        let (state, _) = state.client_first(b"n,,n=,r=abc,x=ignored", &NONCE).unwrap();
        let error = state.client_final(message.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), text, "{message}");
        assert_eq!(error.detail().as_deref(), detail, "{message}");
    }
}

#[test]
fn texts_that_are_no_verifiers_are_refused() {
    let key = base64(&[1; KEY_LEN]);
    let right = format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key}");
    assert!(Verifier::parse(right.as_bytes()).is_ok());
    for wrong in [
        String::new(),
        right.replace("256", "512"),
        right.replace("4096", "0"),
        right.replace("4096", "-1"),
        right.replace("4096", "+1"),
        right.replace("4096", ""),
        right.replace("4096", "2147483648"),
        right.replace("c2FsdA==", ""),
        right.replace("c2FsdA==", "c2FsdA"),
        right.replace("c2FsdA==", &base64(&[0; MAX_SALT + 1])),
        right.replace(&key, &base64(&[1; 31])),
        format!("{right}:{key}"),
        right.replace(':', ""),
    ] {
        assert_eq!(Verifier::parse(wrong.as_bytes()), Err(VerifierError), "{wrong}");
    }
}

#[test]
fn salts_of_any_length_are_taken() {
    for len in [1, 8, 16, 64, MAX_SALT] {
        let verifier = Verifier::derive(b"pencil", &vec![9; len], 1).unwrap();
        assert_eq!(Verifier::parse(verifier.to_text().as_bytes()).as_ref(), Ok(&verifier));
        let theirs = ChannelBinding::unsupported();
        assert!(log_in(verifier, None, SCRAM_SHA_256, b"pencil", theirs).is_ok(), "{len}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let verifier = verifier();
    let state = ExpectClientFirst::new(verifier.clone(), None, SCRAM_SHA_256).unwrap();
    let shown = format!("{verifier:?} {state:?} {:?}", verifier.stored_key());
    assert_eq!(
        shown,
        "Verifier { iterations: 2, .. } ExpectClientFirst { verifier: Verifier { iterations: 2, .. }, \
         binding: None, plus: false } StoredKey(..)"
    );
}

#[test]
fn no_byte_of_an_exchange_can_be_changed_on_its_way() {
    let mut client = ScramSha256::new(b"pencil", ChannelBinding::unrequested());
    let first = client.message().to_vec();
    let play = |first: &[u8], last: &[u8]| {
        let state = ExpectClientFirst::new(verifier(), None, SCRAM_SHA_256)?;
        state.client_first(first, &NONCE)?.0.client_final(last)
    };
    let state = ExpectClientFirst::new(verifier(), None, SCRAM_SHA_256).unwrap();
    let (_, challenge) = state.client_first(&first, &NONCE).unwrap();
    client.update(&challenge).unwrap();
    let last = client.message().to_vec();
    assert!(play(&first, &last).is_ok());
    for byte in [0, 1, 2, 0x20, 0x80].into_iter().chain(b'+'..=b'z') {
        for at in 0..first.len() {
            let mut changed = first.clone();
            changed[at] = byte;
            assert!(changed == first || play(&changed, &last).is_err(), "first {at} {byte}");
        }
        for at in 0..last.len() {
            let mut changed = last.clone();
            changed[at] = byte;
            assert!(changed == last || play(&first, &changed).is_err(), "last {at} {byte}");
        }
    }
}
