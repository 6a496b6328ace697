//! The daemon as scripts see it: what it exits with, and what it says.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use counterfoil_protocol::problem::{Code, Problem};
use tempfile::TempDir;

fn daemon(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil-syncd"));
    command.arg("--data-dir").arg(folder).args(options);
    command
}

fn ended(output: &Output) -> (Option<i32>, String) {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("panicked"), "{errors}");
    (output.status.code(), errors)
}

#[test]
fn a_folder_that_is_not_there_is_wrong_input_and_stays_so() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("mispelt");
    for options in [&[][..], &["--once"], &["--salvage"]] {
        let (code, errors) = ended(&daemon(&missing, options).output().unwrap());
        assert_eq!(code, Some(2), "{options:?} {errors}");
        assert!(errors.starts_with("data_dir_missing: "), "{errors}");
        assert!(!missing.exists());
    }
    // One that is there without a counter in it is another thing.
    let (code, errors) = ended(&daemon(folder.path(), &["--once"]).output().unwrap());
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("not_enrolled: "), "{errors}");
}

/// A head office that answers one request with this.
fn answering(status: u16, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut line, _) = listener.accept().unwrap();
        let mut buffer = [0; 8192];
        let mut text = String::new();
        // The request ends with the JSON's last brace.
        while !text.ends_with('}') {
            let read = line.read(&mut buffer).unwrap();
            assert!(read > 0, "hung up in the middle: {text}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        write!(
            line,
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    });
    address
}

#[test]
fn a_code_that_is_not_taken_is_wrong_input_and_a_folder_is_made_for_it() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("new");
    let problem = Problem::new(Code::EnrolCodeInvalid);
    let address = answering(problem.status, serde_json::to_string(&problem).unwrap());
    let output = daemon(&data, &["--enrol", &address, "--code", "ABCD-EFGH"])
        .output()
        .unwrap();
    let (code, errors) = ended(&output);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("enrol_code_invalid: "), "{errors}");
    assert!(data.is_dir());
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_nobody_takes_is_a_failure_and_no_panic() {
    use counterfoil_domain::{
        ids::{DeviceId, HistoryId, StoreId, TenantId},
        people::Store,
    };
    use counterfoil_protocol::enrolment::EnrolResponse;

    for stdout in ["/dev/full", "closed pipe"] {
        let folder = TempDir::new().unwrap();
        let place = EnrolResponse {
            tenant: TenantId::new(1, [1; 10]),
            store: Store {
                id: StoreId::new(1, [2; 10]),
                code: "S1".into(),
                name_zh: "门店".into(),
                name_en: "Store".into(),
                time_zone: "Asia/Shanghai".into(),
            },
            device: DeviceId::new(1, [3; 10]),
            epoch: 1,
            history_id: HistoryId::new(1, [4; 10]),
            server_time: 1_795_000_000_000,
            place: Default::default(),
        };
        let address = answering(200, serde_json::to_string(&place).unwrap());
        let mut command = daemon(folder.path(), &["--enrol", &address, "--code", "ABCD-EFGH"]);
        command.stderr(Stdio::piped());
        if stdout == "/dev/full" {
            command.stdout(std::fs::OpenOptions::new().write(true).open(stdout).unwrap());
        } else {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            command.stdout(writer);
        }
        let child = command.spawn().unwrap();
        let (code, errors) = ended(&child.wait_with_output().unwrap());
        assert_eq!(code, Some(1), "{stdout} {errors}");
        assert!(errors.contains("writing to standard output"), "{stdout} {errors}");
    }
}
