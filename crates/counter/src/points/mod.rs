//! Points and stored value at the desk: what a member has, as head office last told it and this counter's own operations
//! have changed it.

use counterfoil_domain::{
    ids::{MemberId, OperationId},
    points::{Account, Lot, MOST, earning::EarningRule},
};
use counterfoil_protocol::questions::LookupRequest;

use crate::copies::{Copied, Overlaid, Whose};

impl Copied for Account {
    const ENTITY: &'static str = "account";
    // No field names a store: it goes with its member.
    const WHOSE: Whose = Whose::Member { kept_by: "store" };
    fn id(&self) -> Vec<u8> {
        self.member.bytes().to_vec()
    }
    fn lookup2(&self) -> Option<String> {
        Some(self.member.to_string())
    }
}

impl Overlaid for Account {
    fn shows(&self, operation: OperationId) -> bool {
        self.latest.contains(&operation)
    }
    /// What it was before is not known, but that there was enough: head office took it.
    fn before(mut self, _: OperationId) -> Option<Self> {
        for ledger in [&mut self.points, &mut self.balance] {
            let free = ledger.room().clamp(0, MOST);
            ledger.lots.push(Lot {
                number: i64::MAX,
                amount: free,
                free,
                held: 0,
                earned_at: 0,
                ready_at: None,
                ends_at: None,
                source: None,
            });
        }
        Some(self)
    }
    /// It comes with its member.
    fn question(_: MemberId) -> Option<LookupRequest> {
        None
    }
}

impl Copied for EarningRule {
    const ENTITY: &'static str = "earning_rule";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        self.version.to_be_bytes().to_vec()
    }
}
