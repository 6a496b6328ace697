//! What the simulator has found: the shortest lists of steps that once broke a rule, kept in `found` as it printed them.

use std::{fs, path::Path, sync::Arc};

use counterfoil_sim::{Base, Faults, Replay, run};

#[tokio::test]
async fn what_was_found_once_breaks_no_rule_any_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    let base = Arc::new(Base::make().await.unwrap());
    let mut broken = Vec::new();
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let replay: Replay = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let faults = Faults(replay.faults.into_iter().collect());
        let ran = run(replay.seed, Arc::clone(&base), &replay.steps, faults)
            .await
            .unwrap();
        if !ran.violations.is_empty() {
            broken.push(format!("{}: {:?}", file.display(), ran.violations));
        }
        replayed += 1;
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(replayed > 0);
}
