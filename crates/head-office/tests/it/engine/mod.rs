//! The engine on SQLite and on PostgreSQL: the same rules, the same answers. Here stands how answers are written.

mod beside;
mod journals;
mod rules;
mod set_aside;

use counterfoil_domain::{
    operations::{ExceptionKind, Outcome},
    transition::Answer,
};

fn done(outcome: Outcome, replayed: bool) -> Answer {
    Answer::Done { outcome, replayed }
}

fn exception(exception: ExceptionKind) -> Answer {
    done(Outcome::AppliedWithException { exception }, false)
}

const APPLIED: Answer = Answer::Done {
    outcome: Outcome::Applied,
    replayed: false,
};
const AGAIN: Answer = Answer::Done {
    outcome: Outcome::Applied,
    replayed: true,
};
