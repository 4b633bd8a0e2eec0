//! What `trunkline check` and `trunkline run` say to whoever starts them, and with which exit code.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use trunkline_testkit::Result;
use trunkline_testkit::certs::Authority;

/// Wrong settings: `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: i32 = 78;

/// The exit code and what was said, of a start that is expected to end by itself.
fn said(command: &str, directory: &Path) -> Result<(Option<i32>, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_trunkline"))
        .args([command, "--config", "trunkline.toml"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Both commands refuse the settings in this directory, and say all of `parts`.
fn refused(directory: &Path, parts: &[&str]) -> Result<()> {
    for command in ["check", "run"] {
        let (code, text) = said(command, directory)?;
        assert_eq!(code, Some(EXIT_CONFIG), "{command}: {text}");
        for part in parts {
            assert!(text.contains(part), "{command} does not say {part:?}: {text}");
        }
    }
    Ok(())
}

/// Settings with TLS on both sides.
const WITH_TLS: &str = "\
[listen]
addresses = [\"127.0.0.1:0\"]
[http]
address = \"\"
[[node]]
[users.app]
password = \"secret\"
[client_tls]
mode = \"require\"
certificate = \"server.crt\"
key = \"server.key\"
ca = \"ca.crt\"
[server_tls]
mode = \"verify-full\"
ca = \"ca.crt\"
";

#[test]
fn tls_files_that_cannot_work_are_mistakes_in_the_settings() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let at = directory.path();
    let authority = Authority::new("Ours")?;
    authority.write_to(at, "ca")?;
    authority.server(&["localhost"])?.write_to(at, "server")?;
    fs::write(at.join("trunkline.toml"), WITH_TLS)?;
    let (code, text) = said("check", at)?;
    assert_eq!((code, text.as_str()), (Some(0), "The settings are in order.\n"));

    fs::write(at.join("server.key"), authority.server(&["localhost"])?.key())?;
    let garbage = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n";
    fs::write(at.join("ca.crt"), garbage)?;
    refused(
        at,
        &[
            "server.key: this is not the key of the certificate in server.crt\n  --> trunkline.toml:11:7",
            "ca.crt: certificate 1 of it cannot be read: its encoding is wrong\n  --> trunkline.toml:12:6",
            "trunkline.toml:15:6",
        ],
    )
}

#[test]
fn a_file_that_is_no_text_is_told_with_its_line() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let at = directory.path().join("trunkline.toml");
    fs::write(at, b"[[node]]\nname = \"caf\xe9\"\n")?;
    refused(directory.path(), &["the file is not UTF-8", "trunkline.toml:2:12"])
}

#[test]
fn the_sample_is_in_order_as_it_is_shipped() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for arguments in [&["config/trunkline.toml"][..], &["--config", "config/trunkline.toml"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_trunkline"))
            .arg("check")
            .args(arguments)
            .current_dir(root)
            .output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*text), (Some(0), "The settings are in order.\n"));
    }
    Ok(())
}
