use std::fmt::Write as _;

use super::*;
use crate::auth::unbase64;

/// Self-signed by ECDSA with SHA-256.
const ECDSA_SHA256: &str = "\
    MIIBgDCCASWgAwIBAgIUBgXyI+CjGmbEVBcgGSq0sp6EFT4wCgYIKoZIzj0EAwIwFTETMBEGA1UEAwwKZGIuZXhhbXBsZTAe\
    Fw0yNjExMjEwMTM3NThaFw0zNjExMTgwMTM3NThaMBUxEzARBgNVBAMMCmRiLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjO\
    PQMBBwNCAARgJDq83gMD8y0VieIJNAeYdm7nEhdoLRIRF9myZwtqIO3XyBhzSUCD/zBtIagJr/nHKM1PijdoMTB+Ed3tls2O\
    o1MwUTAdBgNVHQ4EFgQUVnJyIS0FnNS1QKBUnBcfTmAYWEEwHwYDVR0jBBgwFoAUVnJyIS0FnNS1QKBUnBcfTmAYWEEwDwYD\
    VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAxgiBM0CMKQDlLVETEkaG1kiLEXJKfCQuiYLpyXkE1CACIQDzq0cz\
    bTtoWiAKipz8ylptbev36JLuDANpFtxqTL8AcA==\
    ";

/// Self-signed by ECDSA with SHA-384.
const ECDSA_SHA384: &str = "\
    MIIBgDCCASWgAwIBAgIUI5sYTLSVQLJJ0WeN+uozhgBDtVgwCgYIKoZIzj0EAwMwFTETMBEGA1UEAwwKZGIuZXhhbXBsZTAe\
    Fw0yNjExMjEwMTM3NThaFw0zNjExMTgwMTM3NThaMBUxEzARBgNVBAMMCmRiLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjO\
    PQMBBwNCAARgJDq83gMD8y0VieIJNAeYdm7nEhdoLRIRF9myZwtqIO3XyBhzSUCD/zBtIagJr/nHKM1PijdoMTB+Ed3tls2O\
    o1MwUTAdBgNVHQ4EFgQUVnJyIS0FnNS1QKBUnBcfTmAYWEEwHwYDVR0jBBgwFoAUVnJyIS0FnNS1QKBUnBcfTmAYWEEwDwYD\
    VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAwNJADBGAiEA2Q9UwLdL3O8BJlSqlGnJ6iv6dF2lvCE5psDaZbLY2UECIQDXXKmJ\
    bz8weVV+WMf9s2LjgrPpaL07RVRd8+Rjgih7Pg==\
    ";

/// Self-signed by RSASSA-PSS with SHA-512.
const PSS_SHA512: &str = "\
    MIICXDCCAZGgAwIBAgIUUbtfRItqrVZE1PRCLjNciOzPe2EwQQYJKoZIhvcNAQEKMDSgDzANBglghkgBZQMEAgMFAKEcMBoG\
    CSqGSIb3DQEBCDANBglghkgBZQMEAgMFAKIDAgE+MAwxCjAIBgNVBAMMAWQwHhcNMjYxMTIxMDEzNzU4WhcNMzYxMTE4MDEz\
    NzU4WjAMMQowCAYDVQQDDAFkMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC6rxlc9lIIuAw7/q6gB5Ln5apVVqi63J/t\
    Cg0Z0ALbOpUOjBxEe54X/5YMkRdFic/c4yzLn3vyIegq8zORsFqjFFJKBzp15b0q90ofw0M60mUiVPfYKhzkVhs9s+AOKRrB\
    X7SmX7vVrfy76FBrhS0wtPHWecTAbwpBMzBAkFc5eQIDAQABo1MwUTAdBgNVHQ4EFgQUa7pkxkoDz78PrPKQM7o5w7tWXSUw\
    HwYDVR0jBBgwFoAUa7pkxkoDz78PrPKQM7o5w7tWXSUwDwYDVR0TAQH/BAUwAwEB/zBBBgkqhkiG9w0BAQowNKAPMA0GCWCG\
    SAFlAwQCAwUAoRwwGgYJKoZIhvcNAQEIMA0GCWCGSAFlAwQCAwUAogMCAT4DgYEArSxWmclCHSrwd+7tKDmX/Qf8nj1yB1oM\
    g9nB18YqWNAfTVgoc9+AVFHjhbzf0ytMOFrcQHAn/9DQhVXhRSuMYQqw6Yrh+Vitffppf4DFgUsCPqfqhqFid9cVMZqs2gmC\
    UvGn2VjEoq+FsCed4plH0v7bKkxGE18RzdMR8uh5dOw=\
    ";

/// Self-signed by Ed25519.
const ED25519: &str = "\
    MIIBLDCB36ADAgECAhQPBQxKCAb/nGuQKc2GNp7n2UDnQjAFBgMrZXAwDDEKMAgGA1UEAwwBZDAeFw0yNjExMjEwMTM3NTha\
    Fw0zNjExMTgwMTM3NThaMAwxCjAIBgNVBAMMAWQwKjAFBgMrZXADIQApJsRu5nyo9GR9ba46tIBaFQ2GT9i6igG//6kjENNM\
    8qNTMFEwHQYDVR0OBBYEFBku+GUp+nb4oL/JzuzwCK1n3TXhMB8GA1UdIwQYMBaAFBku+GUp+nb4oL/JzuzwCK1n3TXhMA8G\
    A1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EAdcTY7Tg3bHV20azT6rQOBLzU1LZ4t99br4URuVqYhR+s4sGr6x/2QmEiKYL/cyUn\
    rp2n4sRj+RP/cb19DqX2DA==\
    ";

fn hash(certificate: &str) -> Option<String> {
    let hash = EndPointHash::of_certificate(&unbase64(certificate.as_bytes()).unwrap()).unwrap()?;
    let mut hex = String::new();
    for byte in hash.as_bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    Some(hex)
}

#[test]
fn certificates_are_hashed_as_they_are_signed() {
    // By sha256sum, sha384sum and sha512sum of the files.
    let sha256 = "a58086669bdc7db213b2b404729b81fb5ebe8f4aa4274215b8e312e5a0c819c1";
    assert_eq!(hash(ECDSA_SHA256).as_deref(), Some(sha256));
    let sha384 = "629a64e06093b330a1693d66a16ef683857746cb628f69cf\
        b9f5a10d8f7ae742ccb6e6beaf4f5c20eb7be5046eff9087";
    assert_eq!(hash(ECDSA_SHA384).as_deref(), Some(sha384));
    let sha512 = "2cf5359890919a6ec5b831fdc637966213dd79249b29291479c3f547f345b32a\
        4eccebf0d42a79ffb0835bab5da42645f250870a66d688eab0f05528d891a3d1";
    assert_eq!(hash(PSS_SHA512).as_deref(), Some(sha512));
}

#[test]
fn a_certificate_without_a_hash_function_of_its_own_cannot_be_bound_to() {
    assert_eq!(hash(ED25519), None);
}

/// The outer form of a certificate with this signature algorithm.
fn shell(algorithm: &[u8]) -> Vec<u8> {
    let body = [b"\x30\x00", algorithm, b"\x03\x02\x00\x00"].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], &*body].concat()
}

#[test]
fn md5_and_sha_1_give_way_to_sha_256() {
    let md5_with_rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04\x05\x00";
    let sha1_with_rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00";
    let pss_with_defaults = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x00";
    for algorithm in [md5_with_rsa, sha1_with_rsa, pss_with_defaults] {
        let certificate = shell(algorithm);
        let hash = EndPointHash::of_certificate(&certificate).unwrap().unwrap();
        assert_eq!(hash.as_bytes(), &*Sha256::digest(&certificate));
    }
    let unknown = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    assert_eq!(EndPointHash::of_certificate(&shell(unknown)), Ok(None));
}

#[test]
fn what_is_not_a_certificate_is_an_error_wherever_it_is_cut() {
    let whole = unbase64(ECDSA_SHA256.as_bytes()).unwrap();
    for cut in 0..whole.len() {
        assert_eq!(EndPointHash::of_certificate(&whole[..cut]), Err(CertificateError), "{cut}");
    }
    assert_eq!(EndPointHash::of_certificate(&[&*whole, b"x"].concat()), Err(CertificateError));
    assert_eq!(EndPointHash::of_certificate(b"-----BEGIN CERTIFICATE-----"), Err(CertificateError));
}
