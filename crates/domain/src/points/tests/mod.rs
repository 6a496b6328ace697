mod examples;
mod model;

use uuid::Uuid;

use super::*;
use crate::{
    ids::{DeviceId, FreezeId, MemberId},
    time::Millis,
};

const DEVICE: DeviceId = DeviceId(Uuid::from_u128(1));

fn freeze(n: u128) -> FreezeId {
    FreezeId(Uuid::from_u128(n))
}

fn source(of: Origin, n: u128) -> Source {
    Source {
        of,
        id: Uuid::from_u128(n),
    }
}

fn cause(reason: Reason, source: Option<Source>, at: Millis) -> Cause {
    Cause {
        source,
        ..Cause::own(reason, at)
    }
}

fn spent(source: Source, entry: i64, shares: Vec<SpentShare>) -> Spent {
    Spent {
        asset: Asset::Points,
        source,
        member: MemberId(Uuid::from_u128(9)),
        entry,
        shares,
    }
}

/// What the entries come to when they are added up, lot by lot: the ledger without its times.
fn folded(entries: &[Entry]) -> (Vec<(i64, i64, i64)>, i64) {
    let mut lots = std::collections::BTreeMap::<i64, (i64, i64)>::new();
    let mut debt = 0;
    for (number, entry) in (1..).zip(entries) {
        assert_eq!(entry.number, number, "numbers have no gaps");
        let moved: i64 = entry.shares.iter().map(|share| share.free + share.held).sum();
        assert_eq!(entry.amount, moved - entry.debt, "{entry:?}");
        for share in &entry.shares {
            let lot = lots.entry(share.lot).or_default();
            lot.0 += share.free;
            lot.1 += share.held;
            assert!(lot.0 >= 0 && lot.1 >= 0, "a lot below zero: {entry:?}");
        }
        debt += entry.debt;
        let total: i64 = lots.values().map(|(free, held)| free + held).sum();
        assert_eq!(entry.after.total(), total, "{entry:?}");
        assert_eq!(entry.after.debt, debt, "{entry:?}");
        let after = entry.after;
        assert!(after.available >= 0 && after.held >= 0 && after.pending >= 0 && after.debt >= 0);
        assert!(
            after.debt == 0 || after.available == 0,
            "available beside a debt: {entry:?}"
        );
    }
    let open = lots.into_iter().filter(|(_, (free, held))| free + held > 0);
    (open.map(|(lot, (free, held))| (lot, free, held)).collect(), debt)
}
