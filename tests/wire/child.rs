//! Tests about the environment run in a process of their own: to change that of the test
//! process would change it for the tests beside.

use std::process::Command;

/// Says that this is the process started for the test.
const MARK: &str = "PUNCTUAL_WIRE_CHILD";

/// In the test process: runs the named test once more with this environment, passes on its
/// failure, and returns `true`. In that second process: returns `false`.
pub(crate) fn run_again_with<'a>(
    test: &str,
    environment: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> bool {
    if std::env::var_os(MARK).is_some() {
        return false;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    for outer in ["NO_PROXY", "no_proxy", "SSL_CERT_DIR"] {
        command.env_remove(outer);
    }
    let output = command
        .args(["--exact", test, "--nocapture"])
        .envs(environment)
        .env(MARK, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{complaint}");
    assert!(printed.contains("1 passed"), "no test is named {test}");
    true
}
