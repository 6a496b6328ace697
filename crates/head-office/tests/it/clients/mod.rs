//! `/openapi.json` in the hands of the tools that people use: it is valid, and becomes a TypeScript client that compiles
//! and a Python client that imports.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use counterfoil_head_office::capabilities::router;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::common::{On, chain};

/// The document as a file in a folder of its own.
async fn document() -> (TempDir, PathBuf) {
    let chain = chain(On::Sqlite, 1).await;
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let response = router(Arc::clone(&chain.app), None).oneshot(request).await.unwrap();
    let bytes = to_bytes(response.into_body(), 4 << 20).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, bytes).unwrap();
    (folder, file)
}

/// Runs a tool to its end; what it printed, and what it said beside.
fn ran(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    (out, err)
}

/// A program beside the Python that has the tools; none, said on standard error, where they could not be fetched.
fn python(name: &str) -> Option<PathBuf> {
    let python = std::env::var_os("COUNTERFOIL_TEST_PYTHON")
        .expect("no Python with the tools of requirements.txt: run `cargo xtask test`, which makes one");
    if python.is_empty() {
        eprintln!("SKIPPED: the tools of requirements.txt could not be installed, so that {name} proves nothing");
        return None;
    }
    Some(Path::new(&python).with_file_name(name))
}

/// A program of the front ends' tools.
fn node(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../ui/node_modules/.bin")
        .join(name);
    assert!(
        program.exists(),
        "{name} is missing: run `npm ci` in ui, as `cargo xtask test` does"
    );
    program.canonicalize().unwrap()
}

#[tokio::test]
async fn the_document_is_valid() {
    let Some(python) = python("python") else { return };
    let (_folder, file) = document().await;
    ran(Command::new(python).args(["-m", "openapi_spec_validator"]).arg(file));
}

#[tokio::test]
async fn a_typescript_client_compiles() {
    let (folder, file) = document().await;
    let folder = folder.path();
    ran(Command::new("node")
        .arg(node("openapi-ts"))
        .current_dir(folder)
        .arg("-i")
        .arg(file)
        .arg("-o")
        .arg(folder.join("client"))
        .args(["-p", "@hey-api/typescript", "@hey-api/sdk", "@hey-api/client-fetch"]));
    std::fs::write(folder.join("use.ts"), include_str!("use.ts")).unwrap();
    std::fs::write(folder.join("tsconfig.json"), include_str!("tsconfig.json")).unwrap();
    ran(Command::new("node")
        .arg(node("tsc"))
        .current_dir(folder)
        .args(["-p", "tsconfig.json"]));
}

#[tokio::test]
async fn a_python_client_imports() {
    let (Some(generator), Some(python)) = (python("openapi-python-client"), python("python")) else {
        return;
    };
    let (folder, file) = document().await;
    let folder = folder.path();
    // Formatting what was made takes another tool and says nothing about the document.
    std::fs::write(folder.join("config.yml"), "post_hooks: []\n").unwrap();
    let generated = ran(Command::new(generator)
        .current_dir(folder)
        .args([
            "generate",
            "--meta",
            "none",
            "--config",
            "config.yml",
            "--output-path",
            "counterfoil_api",
        ])
        .arg("--path")
        .arg(&file));
    // The tool sends no tables as such; the same bodies are described as plain bytes too.
    let tables = [
        "text/csv",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ];
    let warnings = format!("{}{}", generated.0, generated.1);
    for warning in warnings.split("WARNING").skip(1) {
        let is_table = tables
            .iter()
            .any(|table| warning.contains(&format!("Unsupported content type {table}")));
        // Nor does it make anything of a picture: whoever calls has its bytes.
        let is_picture = warning.contains("Unsupported content_type image/png, image/svg+xml");
        assert!(is_table || is_picture, "{warning}");
    }
    assert!(!warnings.contains("will not be generated"), "{warnings}");
    std::fs::write(folder.join("use.py"), include_str!("use.py")).unwrap();
    let (said, _) = ran(Command::new(python).current_dir(folder).arg("use.py").arg(&file));
    let operations: usize = said.trim().parse().unwrap();
    assert!(operations > 60, "{said}");
}
