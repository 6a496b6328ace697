//! Whether each use has what there is to show for it.

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::{MemberId, OperationId},
    time::{MINUTE, Millis},
};

use super::{
    Violations,
    journals::{Journals, Used},
};

/// What head office says of something that can be used.
pub(super) struct Standing {
    /// In words.
    pub(super) what: String,
    /// The use that counts.
    pub(super) holder: Option<OperationId>,
    /// The others.
    pub(super) surplus: BTreeSet<OperationId>,
    /// Sales whose use may have gone back.
    pub(super) perhaps: BTreeSet<OperationId>,
    /// A freeze is on it still.
    pub(super) held: bool,
    /// Its use alone may have broken a rule besides: when it was used, or by whom it was presented.
    pub(super) ends: Option<Millis>,
    pub(super) owner: Option<MemberId>,
}

impl Journals {
    /// As many cases as uses less one.
    pub(super) fn balance(&self, is: &Standing, uses: &[Used]) -> Violations {
        let cases = &self.cases;
        let what = &is.what;
        let mut violations = Violations::new();
        let known: BTreeSet<OperationId> = is.holder.into_iter().chain(is.surplus.iter().copied()).collect();
        // Nobody had the coupon when it was used, so that it could not be: that has a case, and is no use. It may have
        // been claimed before a restore, and by somebody else since.
        let no_use = |by: &OperationId| cases.contains(by) && self.is_no_use(by);
        let uses: Vec<&Used> = uses
            .iter()
            .filter(|used| known.contains(&used.by) || !(no_use(&used.by) || is.perhaps.contains(&used.by)))
            .collect();
        let by: BTreeSet<OperationId> = uses.iter().map(|used| used.by).collect();
        if by != known {
            violations.push(format!("{what}: used by {by:?}, and head office says {known:?}"));
        }
        if is.holder.is_none() && !is.held && !is.surplus.is_empty() {
            violations.push(format!("{what}: used, and belongs to nobody"));
        }
        for used in &uses {
            let has_case = cases.contains(&used.by);
            if Some(used.by) != is.holder {
                // An order placed online that came second was promised its coupon: it has no case.
                if !has_case && self.known.contains(&used.by) {
                    violations.push(format!("{what}: {} is one use too many without a case", used.by));
                }
                continue;
            }
            let said = self.entries.get(&used.by).map(|entry| &entry.said);
            let more = said.is_some_and(|said| said.more);
            let late = is.ends.is_none_or(|end| used.at >= end - 10 * MINUTE);
            // Claimed by somebody else since a restore took the claim back.
            let presented = said.and_then(|said| said.by);
            let foreign = presented.is_some() && is.owner.is_some() && presented != is.owner;
            let too_many = self
                .exceptions
                .get(&used.by)
                .is_some_and(|kind| ["double_redeem", "redeem_while_frozen", "double_pickup"].contains(&kind.as_str()));
            if has_case && too_many && !more && !late && !foreign {
                let kind = self.exceptions.get(&used.by);
                violations.push(format!(
                    "{what}: {} is the use that counts, and has a case ({kind:?}); uses {uses:?}, beside it {:?}",
                    used.by, is.surplus
                ));
            }
        }
        violations
    }
}
