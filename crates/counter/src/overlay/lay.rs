//! What rows look like with operations laid over: pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use counterfoil_domain::{
    operations::{Action, ExceptionKind, OperationKind, Outcome},
    points::earning::EarningRule,
    transition::{Applied, Changes, Doing, NeedKeys, State, Subject, effect, genesis},
};

use crate::{
    copies::Ground,
    error::{Error, Result},
    journal::Place,
};

/// How often an operation may need rows that are not here. One asks for a row at a time, and has at most some hundred.
const ROUNDS: usize = 256;

/// An operation that lies over rows.
#[derive(Debug, Clone)]
pub struct Laid {
    /// Its place.
    pub place: Place,
    /// What, by whom, when.
    pub doing: Doing,
    /// What happened.
    pub action: Action,
    /// The rows it lies over, also those that are not here.
    pub over: Vec<Subject>,
    /// How it ended, once that is known.
    pub outcome: Option<Outcome>,
}

impl Laid {
    fn applied(&self, outcome: Outcome) -> Applied {
        let id = self.doing.operation;
        Applied {
            id,
            device: self.doing.device,
            epoch: self.place.epoch,
            seq: self.place.seq,
            fingerprint: genesis(),
            subject: self.action.subject(id),
            outcome,
        }
    }
}

/// Rows with the operations laid over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// As the desk sees them.
    pub rows: BTreeMap<Subject, Ground>,
    /// Operations that are expected to end in an exception.
    pub conflicts: BTreeSet<Place>,
}

/// Does the operations to the rows once more, each once, in the journal's order.
///
/// `rows` are head office's, and all of those here that the operations lie over. `earlier` are operations that a void
/// among `laid` undoes and that are not among `laid` themselves. `rules` are the versions of the rule of earning that are
/// here: by another one nothing is earned yet.
pub fn lay_over(
    rows: BTreeMap<Subject, Ground>,
    laid: &[Laid],
    earlier: &[Applied],
    rules: &[EarningRule],
) -> Result<Seen> {
    let mut state = State::default();
    for rule in rules {
        state.earning_rules.insert(rule.version, Some(Arc::new(rule.clone())));
    }
    let here: BTreeSet<Subject> = rows.keys().copied().collect();
    for (subject, row) in rows {
        row.put(subject, &mut state);
    }
    for applied in earlier {
        state.operations.insert(applied.id, Some(applied.clone()));
    }
    let mut conflicts = BTreeSet::new();
    for operation in laid {
        if matches!(operation.outcome, Some(Outcome::Quarantined { .. })) {
            continue;
        }
        let forecast = redo(&mut state, operation, &here)?;
        if operation.outcome.is_none() && forecast != Outcome::Applied {
            conflicts.insert(operation.place);
        }
        let applied = operation.applied(operation.outcome.unwrap_or(forecast));
        state.operations.insert(applied.id, Some(applied));
    }
    let rows = here
        .into_iter()
        .filter_map(|subject| Some((subject, Ground::take(subject, &state)?)))
        .collect();
    Ok(Seen { rows, conflicts })
}

/// Does one operation to the rows that don't show its effect yet, and says how it is expected to end.
fn redo(state: &mut State, operation: &Laid, here: &BTreeSet<Subject>) -> Result<Outcome> {
    let id = operation.doing.operation;
    let (held, absent): (Vec<Subject>, Vec<Subject>) = operation.over.iter().partition(|over| here.contains(over));
    let rows = held
        .into_iter()
        .filter_map(|subject| Some((subject, Ground::take(subject, state)?)));
    let (shown, open): (Vec<_>, Vec<_>) = rows.partition(|(_, row)| row.shows(id));
    if open.is_empty() {
        return Ok(Outcome::Applied);
    }
    for (subject, row) in &shown {
        row.before(id).put(*subject, state);
    }
    let (outcome, mut changes) = forecast(state, &operation.action, &operation.doing)?;
    let outcome = if absent.is_empty() {
        outcome
    } else {
        without(&absent, operation, &mut changes)
    };
    state.absorb(&changes);
    for (subject, row) in shown {
        row.put(subject, state);
    }
    Ok(outcome)
}

/// What an operation does here. A row that it would need besides is not held at this counter: then there is none.
fn forecast(state: &mut State, action: &Action, doing: &Doing) -> Result<(Outcome, Changes)> {
    for _ in 0..ROUNDS {
        match effect(state, action, doing) {
            Ok(done) => return Ok(done),
            Err(NeedKeys(keys)) => keys.into_iter().for_each(|key| state.note_missing(key)),
        }
    }
    Err(Error::Internal("an operation needs ever more rows".into()))
}

/// How an operation is expected to end some of whose rows are not here: a coupon known by its token alone, what was
/// forgotten with its member. Of these nothing is foretold, least of all that they don't fit.
fn without(absent: &[Subject], operation: &Laid, changes: &mut Changes) -> Outcome {
    let id = operation.doing.operation;
    let settled = matches!(operation.action, Action::SettleSale { .. });
    let Some(sale) = changes.sales.iter_mut().find(|sale| settled && sale.id == id) else {
        return Outcome::Applied;
    };
    for sold in &mut sale.coupons {
        if absent.contains(&Subject::Coupon(sold.used.coupon)) {
            sold.exception = None;
        }
    }
    let account = sale.member.map(Subject::Account);
    if account.is_some_and(|account| absent.contains(&account)) {
        if let Some(sold) = &mut sale.account.points {
            sold.taken = sold.used.points;
        }
        if let Some(sold) = &mut sale.account.balance {
            sold.taken = sold.paid.amount;
        }
    }
    let points = sale.account.points.as_ref();
    let balance = sale.account.balance.as_ref();
    let broken = sale.coupons.iter().find_map(|sold| sold.exception);
    let broken = broken
        .or(points
            .filter(|sold| sold.taken < sold.used.points)
            .map(|_| ExceptionKind::PointsShort))
        .or(balance
            .filter(|sold| sold.taken < sold.paid.amount)
            .map(|_| ExceptionKind::BalanceShort));
    match broken {
        Some(exception) => Outcome::AppliedWithException { exception },
        None => Outcome::Applied,
    }
}
