//! The secret from which the salts of made-up verifiers come. It outlives the process: a salt that changed with a
//! restart would tell users that do not exist from those that do.

use trunkline_settings::Settings;
use zeroize::Zeroizing;

/// Where Linux keeps 128 random bits of its own, made when the system was installed. `machine-id(5)` asks not to show
/// them to the network, but hashed together with a text of one's own.
const MACHINE_ID: &str = "/etc/machine-id";

/// That text.
const PURPOSE: &[u8] = b"trunkline: salts of users that do not exist\0";

/// Digits of a machine's number; an image that was never started has none, or a word in its place.
const MACHINE_ID_DIGITS: usize = 32;

/// The secret of `auth.salt_file`, else one of this machine, else one of this process.
pub(super) fn mock_secret(settings: &Settings) -> Zeroizing<Vec<u8>> {
    if let Some(secret) = &settings.access.salt {
        return with_purpose(secret.expose().as_bytes());
    }
    let id = Zeroizing::new(std::fs::read_to_string(MACHINE_ID).unwrap_or_default());
    if let Some(number) = machine_number(&id) {
        return with_purpose(number.as_bytes());
    }
    tracing::info!(
        "the salts that unknown users are shown change with a restart: \
         there is neither auth.salt_file nor {MACHINE_ID}"
    );
    with_purpose(&*Zeroizing::new(rand::random::<[u8; 32]>()))
}

/// The number in the file, if it is one.
fn machine_number(text: &str) -> Option<&str> {
    let number = text.trim();
    let random = number.len() == MACHINE_ID_DIGITS
        && number.bytes().all(|digit| digit.is_ascii_hexdigit())
        && number.bytes().any(|digit| digit != b'0');
    random.then_some(number)
}

fn with_purpose(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([PURPOSE, secret].concat())
}

#[cfg(test)]
mod tests {
    use trunkline_settings::Secret;

    use super::*;

    #[test]
    fn the_secret_is_the_same_after_a_restart_and_the_files_own_if_there_is_one() {
        let mut settings = Settings::default();
        settings.access.salt = Some(Secret::new("a secret of some length"));
        let first = mock_secret(&settings);
        assert_eq!(first, mock_secret(&settings));
        settings.access.salt = Some(Secret::new("another one of some length"));
        assert_ne!(first, mock_secret(&settings));
    }

    #[test]
    fn an_image_that_was_never_started_has_no_number() {
        assert_eq!(machine_number("0123456789abcdef0123456789abcdef\n").map(str::len), Some(32));
        for text in ["", "uninitialized\n", "00000000000000000000000000000000\n", "0123"] {
            assert_eq!(machine_number(text), None, "{text}");
        }
    }
}
