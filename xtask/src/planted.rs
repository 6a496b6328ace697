//! `cargo xtask planted`: plants each known bug in turn and looks which check finds it.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{cleanup::Cleanup, places, postgres::Postgres, shell};

/// Seeds that a bug is given, and steps of each.
const SEEDS: u64 = 60;
const EVENTS: u64 = 1_000;
/// What names the active bug to the programs.
const VARIABLE: &str = "COUNTERFOIL_PLANTED";
/// Between these lines of the docs stands the table.
const BEGIN: &str = "<!-- planted: made by `cargo xtask planted` -->";
const END: &str = "<!-- planted: end -->";

#[derive(clap::Args)]
pub struct Options {
    /// Only this bug
    #[arg(long)]
    only: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FoundBy {
    Simulator,
    Domain,
    Counter,
    /// Head office's tests of this module.
    HeadOffice(&'static str),
    /// Requests that overlap, to real processes on SQLite.
    Concurrency,
}

struct Bug {
    name: &'static str,
    found_by: FoundBy,
    what: &'static str,
}

const BUGS: &[Bug] = &[
    Bug {
        name: "foreign_freeze",
        found_by: FoundBy::Simulator,
        what: "a device uses another's freeze, or an order's hold",
    },
    Bug {
        name: "surplus_not_handed_on",
        found_by: FoundBy::Simulator,
        what: "a coupon that is given back belongs to nobody, though somebody else used it",
    },
    Bug {
        name: "case_never_closed",
        found_by: FoundBy::Simulator,
        what: "a use that counts after all keeps its case",
    },
    Bug {
        name: "lapse_forgotten",
        found_by: FoundBy::Domain,
        what: "a freeze that lapsed over a use holds for ever",
    },
    Bug {
        name: "withdrawn_use_stays",
        found_by: FoundBy::Simulator,
        what: "a use too many that is undone is still there",
    },
    Bug {
        name: "surplus_forgotten",
        found_by: FoundBy::Simulator,
        what: "a use too many leaves no trace in the coupon",
    },
    Bug {
        name: "told_once",
        found_by: FoundBy::Simulator,
        what: "a store that was told of a printed coupon hears no more of it",
    },
    Bug {
        name: "card_without_coupons",
        found_by: FoundBy::Simulator,
        what: "a store that is new to a member gets none of their coupons",
    },
    Bug {
        name: "others_not_told",
        found_by: FoundBy::Simulator,
        what: "stores don't hear that a member was seen elsewhere",
    },
    Bug {
        name: "paid_and_gone",
        found_by: FoundBy::Simulator,
        what: "the coupon of an order is free when a counter undoes its use of it",
    },
    Bug {
        name: "answer_after_the_effect",
        found_by: FoundBy::Simulator,
        what: "a question whose answer was lost is decided again",
    },
    Bug {
        name: "texts_as_they_are",
        found_by: FoundBy::Domain,
        what: "texts become columns with what no column holds",
    },
    Bug {
        name: "order_read_as_an_id",
        found_by: FoundBy::HeadOffice("orders"),
        what: "an order's number that reads as an id names another order",
    },
    Bug {
        name: "body_before_role",
        found_by: FoundBy::HeadOffice("counters"),
        what: "the body is read of who may not call",
    },
    Bug {
        name: "gap_taken",
        found_by: FoundBy::Simulator,
        what: "operations are taken though earlier ones are missing",
    },
    Bug {
        name: "chain_not_checked",
        found_by: FoundBy::Simulator,
        what: "a second branch of a journal is taken for the first",
    },
    Bug {
        name: "revoked_works_on",
        found_by: FoundBy::Simulator,
        what: "what a revoked device delivers has its effect",
    },
    Bug {
        name: "replay_forgets",
        found_by: FoundBy::Simulator,
        what: "an operation sent again is told another outcome",
    },
    Bug {
        name: "quarantine_keeps_freeze",
        found_by: FoundBy::Domain,
        what: "what is set aside keeps what its freeze held",
    },
    Bug {
        name: "worth_not_checked",
        found_by: FoundBy::Simulator,
        what: "less than nothing is given away",
    },
    Bug {
        name: "claim_taken_for_fact",
        found_by: FoundBy::Simulator,
        what: "a made-up cursor begins a new history",
    },
    Bug {
        name: "news_lost",
        found_by: FoundBy::Simulator,
        what: "counters are not told of all that a group changed",
    },
    Bug {
        name: "older_over_newer",
        found_by: FoundBy::Counter,
        what: "an older row overwrites a newer one at a counter",
    },
    Bug {
        name: "nothing_forgotten",
        found_by: FoundBy::Counter,
        what: "a counter keeps members that its store does not hold any more",
    },
    Bug {
        name: "green_before_the_disk",
        found_by: FoundBy::Simulator,
        what: "a clerk sees green before the disk has it",
    },
    Bug {
        name: "overlay_kept",
        found_by: FoundBy::Simulator,
        what: "delivered operations are laid over head office's rows for ever",
    },
    Bug {
        name: "nothing_sent_again",
        found_by: FoundBy::Simulator,
        what: "a counter does not send again what a restored head office lost",
    },
    Bug {
        name: "cursor_never_moves",
        found_by: FoundBy::Simulator,
        what: "a counter reads the same page for ever",
    },
    Bug {
        name: "overdraws",
        found_by: FoundBy::Simulator,
        what: "more is spent or held than is available",
    },
    Bug {
        name: "debt_forgotten",
        found_by: FoundBy::Simulator,
        what: "what was spent meanwhile is taken back without being owed",
    },
    Bug {
        name: "debt_not_settled",
        found_by: FoundBy::Simulator,
        what: "what becomes available settles no debt",
    },
    Bug {
        name: "captured_hold_stays",
        found_by: FoundBy::Simulator,
        what: "what a capture leaves of a hold pins on",
    },
    Bug {
        name: "paid_without_points",
        found_by: FoundBy::Simulator,
        what: "an order that is paid lets go of the points that pay for it",
    },
    Bug {
        name: "released_pins_on",
        found_by: FoundBy::Simulator,
        what: "what a hold has pinned stays pinned when it is let go of",
    },
    Bug {
        name: "released_points_gone",
        found_by: FoundBy::Simulator,
        what: "what a hold has pinned is nobody's when it is let go of",
    },
    Bug {
        name: "released_twice",
        found_by: FoundBy::Simulator,
        what: "what a hold has pinned comes back twice",
    },
    Bug {
        name: "hold_never_lapses",
        found_by: FoundBy::Domain,
        what: "what a counter's hold has pinned stays pinned when its time is up",
    },
    Bug {
        name: "paid_in_stays",
        found_by: FoundBy::Simulator,
        what: "money paid in at a counter stays when that is undone",
    },
    Bug {
        name: "second_waybill_stays",
        found_by: FoundBy::Simulator,
        what: "nobody looks once more what the carrier has",
    },
    Bug {
        name: "nothing_shipped",
        found_by: FoundBy::Simulator,
        what: "a message that asks for a parcel is confirmed without one",
    },
    Bug {
        name: "unwanted_waybill_stays",
        found_by: FoundBy::Simulator,
        what: "the waybill of a parcel that goes nowhere, or somewhere else, is not cancelled",
    },
    Bug {
        name: "cancelled_unsaid",
        found_by: FoundBy::Simulator,
        what: "nobody hears that a parcel was given up, and the points stay away",
    },
    Bug {
        name: "lost_said_returned",
        found_by: FoundBy::Simulator,
        what: "a lost parcel's goods are back on the shelf",
    },
    Bug {
        name: "doubt_forgotten",
        found_by: FoundBy::Simulator,
        what: "an order without an answer counts as one that was never given",
    },
    Bug {
        name: "oversells",
        found_by: FoundBy::Domain,
        what: "more of a gift is taken than there is",
    },
    Bug {
        name: "exchanges_again",
        found_by: FoundBy::Domain,
        what: "an exchange that is asked for again is told that it is another one",
    },
    Bug {
        name: "limit_forgotten",
        found_by: FoundBy::Simulator,
        what: "what a member has had of a gift is not counted",
    },
    Bug {
        name: "paid_gift_stays",
        found_by: FoundBy::Simulator,
        what: "what was promised of a gift stays promised once it is paid for",
    },
    Bug {
        name: "cancelled_gift_stays",
        found_by: FoundBy::Simulator,
        what: "what was promised of a gift stays promised once nobody wants it",
    },
    Bug {
        name: "cheap_gift_back",
        found_by: FoundBy::Simulator,
        what: "a gift that comes back gives fewer points back than it cost",
    },
    Bug {
        name: "lost_gift_back",
        found_by: FoundBy::Simulator,
        what: "a gift that was lost is on the shelf again",
    },
    Bug {
        name: "earns_again",
        found_by: FoundBy::HeadOffice("points"),
        what: "what is asked for in other words is answered as if it had happened",
    },
    Bug {
        name: "placed_again",
        found_by: FoundBy::Domain,
        what: "an order that is asked for twice is taken for another one",
    },
    Bug {
        name: "foreign_hold",
        found_by: FoundBy::HeadOffice("points"),
        what: "a device spends what another's hold has pinned",
    },
    Bug {
        name: "earned_kept",
        found_by: FoundBy::HeadOffice("points"),
        what: "what comes back keeps the points that it earned",
    },
    Bug {
        name: "big_quotes_among_small",
        found_by: FoundBy::HeadOffice("quoting"),
        what: "expensive quotes take the room of all others",
    },
    Bug {
        name: "idle_lines_stay",
        found_by: FoundBy::HeadOffice("connections"),
        what: "idle connections keep their place when another one comes",
    },
    Bug {
        name: "busy_line_closed",
        found_by: FoundBy::HeadOffice("connections"),
        what: "a connection is closed in the middle of a request",
    },
    Bug {
        name: "eager_turn",
        found_by: FoundBy::Concurrency,
        what: "two pushes of one device that overlap stop the whole server",
    },
    Bug {
        name: "quotes_without_bound",
        found_by: FoundBy::Concurrency,
        what: "expensive quotes go on without end in the room of all others",
    },
];

pub fn planted(options: &Options) -> Result<ExitCode> {
    let chosen: Vec<&Bug> = BUGS
        .iter()
        .filter(|bug| options.only.as_deref().is_none_or(|only| only == bug.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = BUGS.iter().map(|bug| bug.name).collect();
        bail!("no such bug; there are {}", names.join(", "));
    }
    let mut cleanup = Cleanup::start()?;
    if chosen.iter().any(|bug| bug.found_by == FoundBy::Simulator) {
        let feature = ["--features", "counterfoil-sim/planted"];
        shell::run(shell::cargo(
            ["build", "--release", "-p", "counterfoil-sim"]
                .into_iter()
                .chain(feature),
        ))?;
    }
    let postgres = match chosen.iter().any(|bug| bug.found_by != FoundBy::Simulator) {
        true => Postgres::start(&mut cleanup)?.url,
        false => String::new(),
    };
    let mut tests = Tests {
        postgres,
        sound: BTreeSet::new(),
    };
    let mut rows = String::new();
    let mut missed = 0;
    for bug in &chosen {
        let found = match bug.found_by {
            FoundBy::Simulator => simulate(bug)?,
            FoundBy::Domain => tests.find(bug, "domain", &[])?,
            FoundBy::Counter => tests.find(bug, "counter", &["--lib"])?,
            FoundBy::HeadOffice(module) => tests.find(bug, "head-office", &["--test", "it", &format!("{module}::")])?,
            FoundBy::Concurrency => overlap(&mut tests, bug)?,
        };
        match &found {
            Some(how) => println!("{}: found by {how}", bug.name),
            None => {
                missed += 1;
                println!("{}: NOT FOUND", bug.name);
            }
        }
        let how = found.as_deref().unwrap_or("nothing");
        rows.push_str(&format!("| `{}` | {} | {how} |\n", bug.name, bug.what));
    }
    if options.only.is_none() {
        write_table(&rows)?;
    }
    println!("{} planted, {missed} not found", chosen.len());
    Ok(if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The seed after which the simulator finds it, and what it says.
fn simulate(bug: &Bug) -> Result<Option<String>> {
    for seed in 1..=SEEDS {
        let output = Command::new(places::target().join("release/counterfoil-sim"))
            .args([
                "--no-shrink",
                "--seeds",
                &format!("{seed}..{seed}"),
                "--events",
                &EVENTS.to_string(),
            ])
            .env(VARIABLE, bug.name)
            .stdin(Stdio::null())
            .output()
            .context("the simulator could not be started")?;
        if output.status.success() {
            continue;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().nth(1).or_else(|| said.lines().next()).unwrap_or_default();
        // Ids differ from bug to bug and say nothing.
        let words: Vec<&str> = first
            .split_whitespace()
            .filter(|word| !word.contains(|sign: char| sign.is_ascii_digit()) && !word.contains('{'))
            .take(14)
            .collect();
        return Ok(Some(format!("the simulator, after {seed} seeds: {}", words.join(" "))));
    }
    Ok(None)
}

/// The crates' own tests.
struct Tests {
    /// Where the engine runs that half of them are for.
    postgres: String,
    /// Which of them were seen to pass where nothing is planted.
    sound: BTreeSet<String>,
}

impl Tests {
    /// The test of a crate that finds it. Tests that fail without it find nothing.
    fn find(&mut self, bug: &Bug, krate: &str, only: &[&str]) -> Result<Option<String>> {
        let which = format!("{krate} {}", only.join(" "));
        if !self.sound.contains(&which) {
            if let Some(failing) = self.failing("", krate, only)? {
                bail!("without any bug `{failing}` of {krate} fails");
            }
            self.sound.insert(which);
        }
        let failing = self.failing(bug.name, krate, only)?;
        Ok(failing.map(|name| format!("the test `{}` of {krate}", name.rsplit("::").next().unwrap_or(&name))))
    }

    /// The first test that fails.
    fn failing(&self, bug: &str, krate: &str, only: &[&str]) -> Result<Option<String>> {
        let mut command = shell::cargo(["test", "-q", "-p"]);
        command
            .arg(format!("counterfoil-{krate}"))
            .args(["--features", "counterfoil-domain/planted"])
            .args(only)
            .env(VARIABLE, bug)
            .env("COUNTERFOIL_TEST_POSTGRES", &self.postgres)
            .env("COUNTERFOIL_BIN_DIR", places::target().join("debug"));
        let output = command.stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let first = said
            .lines()
            .find_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"));
        match first {
            Some(name) => Ok(Some(name.to_owned())),
            None => bail!(
                "the tests of {krate} could not be run:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }
}

/// Whether the real server is found out when requests overlap.
fn overlap(tests: &mut Tests, bug: &Bug) -> Result<Option<String>> {
    let feature = ["--features", "counterfoil-domain/planted"];
    let hq = ["build", "-p", "counterfoil-head-office", "--bin", "counterfoil-hq"];
    shell::run(shell::cargo(hq.into_iter().chain(feature)))?;
    tests.find(bug, "tests", &["--test", "concurrency", "sqlite"])
}

fn write_table(rows: &str) -> Result<()> {
    let file = places::root().join("docs/TESTING.md");
    let text = fs::read_to_string(&file)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .context("docs/TESTING.md has no place for the table")?;
    let (_, after) = rest
        .split_once(END)
        .context("docs/TESTING.md has no place for the table")?;
    let head = "| bug | what it does | found by |\n|---|---|---|\n";
    fs::write(&file, format!("{before}{BEGIN}\n{head}{rows}{END}{after}"))?;
    Ok(())
}
