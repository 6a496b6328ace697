//! What `verify` checks of accounts and the ledger.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[];
