//! `counterfoil doctor`: one line each, ok or what to do.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use counterfoil_counter::{Check, System, doctor};

use super::Ending;
use crate::camera;
use crate::instance::{Lock, lock};
use crate::settings::Kept;
use crate::single_shop::{self, HeadOffice, Port};

/// Looks at everything and prints it.
pub async fn run(folder: &Path, out: &mut dyn Write) -> Ending {
    // While the app doesn't run, a head office inside it doesn't either.
    let locked = lock(folder);
    let settings = Kept::load(folder).get();
    let mut inside = None;
    if settings.head_office.is_some() && matches!(locked, Ok(Lock::Taken(_))) {
        let at = settings.port.map_or(Port::New, Port::Known);
        match HeadOffice::start(&single_shop::folder(folder), at).await {
            Ok(started) => inside = Some(started),
            Err(problem) => tracing::warn!(%problem, "head office inside this app can't start"),
        }
    }
    let system = Arc::new(System::new());
    let mut checks = doctor(folder, system.clone(), system).await;
    checks.extend(devices());
    if let Some(inside) = inside {
        inside.stop().await;
    }
    for check in &checks {
        let mark = if check.ok { "ok" } else { "!!" };
        let advice = check.advice.lines().collect::<Vec<_>>().join(" ");
        if writeln!(out, "{mark} {}: {advice}", check.name).is_err() {
            return Ending::Failed;
        }
    }
    if checks.iter().all(|check| check.ok) {
        Ending::Done
    } else {
        Ending::Failed
    }
}

/// What hangs on the machine.
fn devices() -> [Check; 3] {
    let (ok, advice) = match camera::cameras() {
        Ok(cameras) if cameras.is_empty() => (true, "none; scanner and keyboard work without one".to_owned()),
        Ok(cameras) => {
            let names: Vec<_> = cameras.into_iter().map(|(_, name)| name).collect();
            (true, names.join(", "))
        }
        Err(problem) => (
            false,
            format!(
                "{}; unplug it and plug it in again, or close what uses it",
                problem.detail
            ),
        ),
    };
    [
        Check {
            name: "camera",
            ok,
            advice,
        },
        Check {
            name: "scanner",
            ok: true,
            advice: "a USB scanner types like a keyboard and ends with Enter; scan any code at the desk to try it"
                .to_owned(),
        },
        Check {
            name: "printer",
            ok: true,
            advice: "not configured".to_owned(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(folder: &Path) -> (Ending, Vec<String>) {
        let mut out = Vec::new();
        let ending = run(folder, &mut out).await;
        let text = String::from_utf8(out).unwrap();
        (ending, text.lines().map(str::to_owned).collect())
    }

    #[tokio::test]
    async fn each_thing_has_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let (ending, lines) = lines(folder.path()).await;
        // Not enrolled yet.
        assert_eq!(ending, Ending::Failed);
        for name in ["disk", "database", "key", "head_office", "camera", "scanner", "printer"] {
            let mut found = lines.iter().filter(|line| line[3..].starts_with(&format!("{name}:")));
            assert!(found.next().is_some(), "{name} in {lines:?}");
        }
        assert!(lines.iter().any(|line| line.starts_with("ok database:")));
        assert!(lines.iter().any(|line| line.starts_with("!! head_office:")));
    }

    #[tokio::test]
    async fn a_folder_is_the_one_that_was_named() {
        let root = tempfile::tempdir().unwrap();
        for name in ["100%", "a%20b", "a b", "a?mode=memory", "a#b", "总部 1"] {
            let folder = root.path().join(name);
            let (_, lines) = lines(&folder).await;
            assert!(lines.iter().any(|line| line.starts_with("ok database:")), "{lines:?}");
            assert!(folder.join(counterfoil_counter::db::FILE_NAME).is_file(), "{name}");
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 6);
    }

    #[tokio::test]
    async fn a_database_that_is_none_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(counterfoil_counter::db::FILE_NAME);
        std::fs::write(&file, "not a database, and long enough to be looked at. ".repeat(100)).unwrap();
        let (ending, lines) = lines(folder.path()).await;
        assert_eq!(ending, Ending::Failed);
        assert!(lines.iter().any(|line| line.starts_with("!! database:")), "{lines:?}");
        assert!(file.metadata().unwrap().len() > 4_000);
    }
}
