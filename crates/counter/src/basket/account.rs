//! Whether points and stored value may pay a part of a sale, as this counter knows the account.

use counterfoil_domain::{
    ids::MemberId,
    offline::{OfflineUsage, judge_limits},
    verdict::Reason,
};
use sqlx::SqliteConnection;

use crate::{desk::judge::Setting, error::Result, journal, points::AccountCard, replica};

/// What is to be spent of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spending {
    /// Points.
    pub(super) points: i64,
    /// What they pay, minor units.
    pub(super) worth: i64,
    /// Points that may be spent without head office's word at most.
    pub(super) offline_limit: i64,
    /// Stored value, minor units.
    pub(super) balance: i64,
}

/// Why something can't be spent, by what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Against {
    /// The points.
    pub(super) points: Vec<Reason>,
    /// The stored value.
    pub(super) balance: Vec<Reason>,
}

impl Against {
    /// Nothing speaks against it.
    pub(super) fn is_none(&self) -> bool {
        self.points.is_empty() && self.balance.is_empty()
    }

    /// What head office says against a sale's use of an account.
    pub(super) fn of(reasons: Vec<Reason>, asked: Spending) -> Self {
        let mut against = Self::default();
        for reason in reasons {
            match reason {
                Reason::PointsShort { .. } => against.points.push(reason),
                Reason::BalanceShort { .. } => against.balance.push(reason),
                // Something about the member: it is said once, beside what was asked for.
                other if asked.points > 0 => against.points.push(other),
                other => against.balance.push(other),
            }
        }
        against
    }
}

/// Judges what is to be spent. `known` = what the account has here; `None` = it is not here.
/// Without head office's word (`setting.online`) points go by the rule's limit and by the device's, after what else goes
/// `before` them, and stored value never.
pub(super) async fn spending(
    db: &mut SqliteConnection,
    member: MemberId,
    spending: Spending,
    known: Option<&AccountCard>,
    before: OfflineUsage,
    setting: Setting<'_>,
) -> Result<Against> {
    let mut against = Against::default();
    let (points, balance) = known.map_or((0, 0), |known| (known.points.available, known.balance.available));
    if spending.points > points {
        against.points.push(Reason::PointsShort { available: points });
    }
    if spending.balance > balance {
        against.balance.push(Reason::BalanceShort { available: balance });
    }
    if setting.online {
        return Ok(against);
    }
    if spending.points > 0 {
        let limit = spending.offline_limit.max(0);
        if limit == 0 {
            against.points.push(Reason::OnlineOnly);
        } else if spending.points > limit && against.points.is_empty() {
            against.points.push(Reason::PointsShort { available: limit });
        }
        let limits = replica::limits(db, setting.who.store.id).await?;
        let usage = journal::usage(db, Some(member)).await?;
        let usage = OfflineUsage {
            count: usage.count.saturating_add(before.count),
            amount: usage.amount.saturating_add(before.amount),
            by_member: usage.by_member.saturating_add(before.by_member),
        };
        let clock = setting.who.clock(setting.now);
        against
            .points
            .extend(judge_limits(spending.worth, &limits, &usage, &clock));
    }
    if spending.balance > 0 {
        against.balance.push(Reason::OnlineOnly);
    }
    Ok(against)
}
