//! Points, stored value and gifts of the demo: something to look at in every state.

use std::{collections::BTreeSet, sync::Arc};

use counterfoil_domain::{
    gifts::{Gift, GiftStatus, GivenBy},
    ids::{GiftId, LocationId, MemberId},
    points::{
        Account, Amounts, Asset, Cause, Earned, Earning, Entry, EntryKind, Origin, Posted, Reason,
        earning::{EarningRule, EndOf, Life, Rate, Rounding, Spending},
    },
    stock::{MoveCause, MoveKind},
    time::{DAY, Millis},
};

use super::{
    Plan, Work,
    numbers::{Kind, Numbers},
};
use crate::{
    db::DbError,
    deed::{Actor, Deed},
    feed::{Item, TENANT_FEED},
    fulfilment::{self, Address, ShipLine, ShipRequest, ShipmentKind},
    gifts,
    points::{
        rows::{self, LotNow},
        source_of,
    },
    stock::{self, Said, rows::Warehouse},
};

/// Members of the demo who have an account.
const WITH_ACCOUNT: u64 = 20;
/// Pieces of each gift at each place.
const PIECES: i64 = 50;

/// A gift of the demo: its sku and names, points, money in minor units, and whether it is sent.
const GIFTS: [(&str, &str, &str, i64, i64, bool); 3] = [
    ("GIFT-MUG", "山岚马克杯", "Shanlan mug", 800, 0, false),
    ("GIFT-DRIP", "手冲壶套装", "Pour-over set", 3_000, 0, true),
    ("GIFT-BAG", "帆布袋", "Canvas bag", 500, 990, false),
];

/// What is to be sent in the demo: recipient, phone, region, street, and how many of each line.
const SHIPPED: [(&str, &str, &str, &str, i64); 3] = [
    ("王芳", "13800000001", "上海市 徐汇区", "漕溪北路 18 号 3 楼", 1),
    ("Anna Lee", "13800000002", "浙江省 杭州市 西湖区", "文三路 90 号", 2),
    (
        "陈志强",
        "13800000003",
        "广东省 深圳市 南山区",
        "科技园南区 5 栋 12 层",
        1,
    ),
];

/// One point for each whole yuan, worth a fen, to the end of the month a year later.
fn rule() -> EarningRule {
    EarningRule {
        version: 1,
        time_zone: "Asia/Shanghai".to_owned(),
        rates: vec![Rate {
            category: None,
            points: 1,
            per: 100,
        }],
        rounding: Rounding::Down,
        factors: Vec::new(),
        cap_a_day: None,
        review: 5,
        pending_days: 0,
        life: Life::Months(12),
        ends: EndOf::Month,
        grace_days: 7,
        spending: Some(Spending {
            minor_per_point: 1,
            max_share_bp: 5_000,
            offline_limit: 0,
        }),
        adjusted_alone: Amounts {
            points: 500,
            balance: 0,
        },
    }
}

/// What one member has, and how it came about.
struct Made {
    account: Account,
    posted: Vec<Posted>,
    lots: Vec<LotNow>,
    earnings: Vec<Earning>,
}

impl Work<'_> {
    /// The rule of earning, gifts with their stock, and accounts of the first members; for the demo alone, and once.
    pub(super) async fn accounts(&mut self) -> Result<(), DbError> {
        if self.plan != Plan::DEMO {
            return Ok(());
        }
        let lock = self.db.dialect().lock_suffix();
        let mut lease = self.db.lease().await?;
        let mut deed = Deed::new(lease.begin().await?, self.random, Actor::admin(self.tenant), self.now);
        if rows::newest_rule(&mut deed, self.tenant).await?.is_some() {
            return Ok(());
        }
        let rule = rule();
        let published = rows::Published {
            rule: rule.clone(),
            at: self.now,
            by: None,
        };
        rows::insert_rule(&mut deed, self.tenant, &published).await?;
        deed.tell(TENANT_FEED, Item::EarningRule(rule.version));
        self.gifts(&mut deed, lock).await?;
        let members: Vec<(u64, MemberId)> = (0..self.plan.members.min(WITH_ACCOUNT))
            .map(|index| (index, self.member_id(index)))
            .collect();
        let ids: Vec<MemberId> = members.iter().map(|(_, member)| *member).collect();
        let there = rows::load(&mut deed, self.tenant, &ids, "").await?;
        let there: BTreeSet<MemberId> = there.iter().map(|account| account.member).collect();
        for (index, member) in members.into_iter().filter(|(_, member)| !there.contains(member)) {
            let made = self.made(index, member, &rule);
            rows::insert(&mut deed, self.tenant, &[&made.account]).await?;
            rows::insert_lots(&mut deed, self.tenant, &made.lots).await?;
            rows::insert_entries(&mut deed, self.tenant, &made.posted).await?;
            rows::insert_shares(&mut deed, self.tenant, &made.posted).await?;
            rows::insert_earnings(&mut deed, self.tenant, &made.earnings.iter().collect::<Vec<_>>()).await?;
            if let Some(store) = self.store(index) {
                deed.tell(store.id, Item::Account(member));
            }
        }
        self.shipments(&mut deed).await?;
        deed.commit("seed.accounts").await?;
        Ok(())
    }

    /// Purchases of the first members that are to be sent: something to pack. Waybills follow once a carrier is set up.
    async fn shipments(&self, deed: &mut Deed<'_>) -> Result<(), DbError> {
        let requests: Vec<ShipRequest> = SHIPPED
            .into_iter()
            .zip(0_u64..)
            .map(|((recipient, phone, region, street, quantity), index)| ShipRequest {
                kind: ShipmentKind::Purchase,
                source: format!("W{:05}-{index:04}", self.plan.seed),
                member: (index < self.plan.members).then(|| self.member_id(index)),
                lines: GIFTS
                    .into_iter()
                    .take(usize::try_from(index + 1).unwrap_or(1))
                    .map(|(sku, name_zh, name_en, ..)| ShipLine {
                        sku: sku.to_owned(),
                        name: format!("{name_zh} / {name_en}"),
                        quantity,
                    })
                    .collect(),
                address: Address {
                    recipient: recipient.to_owned(),
                    phone: phone.to_owned(),
                    region: region.to_owned(),
                    street: street.to_owned(),
                },
            })
            .collect();
        fulfilment::create(deed, &requests).await
    }

    async fn gifts(&self, deed: &mut Deed<'_>, lock: &'static str) -> Result<(), DbError> {
        let (place, at, bytes) = self.ids.of(0, Kind::Warehouse, 0);
        let warehouse = Warehouse {
            id: LocationId::placed(place, at, bytes),
            name: "中央仓 Central".to_owned(),
            created_at: self.now,
        };
        stock::rows::insert_warehouse(deed, self.tenant, &warehouse).await?;
        for ((sku, name_zh, name_en, points, money, is_sent), index) in GIFTS.into_iter().zip(0_u64..) {
            let (place, at, bytes) = self.ids.of(0, Kind::Gift, index);
            let gift = Gift {
                id: GiftId::placed(place, at, bytes),
                sku: sku.to_owned(),
                name_zh: name_zh.to_owned(),
                name_en: name_en.to_owned(),
                points,
                money,
                worth: 2_900,
                member_limit: 2,
                from: None,
                until: None,
                given: if is_sent { GivenBy::Shipped } else { GivenBy::Collected },
                location: is_sent.then_some(warehouse.id),
                status: GiftStatus::Published,
                version: 1,
            };
            gifts::rows::insert_gift(deed, self.tenant, &gift, self.now).await?;
            let places: Vec<LocationId> = if is_sent {
                vec![warehouse.id]
            } else {
                self.stores.iter().map(|store| store.id.into()).collect()
            };
            for place in places {
                let cause = MoveCause {
                    kind: MoveKind::Counted,
                    source: None,
                    actor: None,
                    note: Some(Arc::from("demo")),
                    at: self.now,
                };
                stock::set_right(deed, lock, (place, sku), Said::Counted(PIECES), cause)
                    .await?
                    .map_err(|_| DbError::config("the demo's stock does not fit"))?;
            }
        }
        Ok(())
    }

    /// Points of a year ago that end this month, newer ones, here and there some that are not available yet, and stored value.
    fn made(&self, index: u64, member: MemberId, rule: &EarningRule) -> Made {
        let mut numbers = Numbers::of(self.plan.seed, Kind::Account, index);
        let mut made = Made {
            account: Account::new(member),
            posted: Vec::new(),
            lots: Vec::new(),
            earnings: Vec::new(),
        };
        let now = self.now;
        let mut hundreds = |most: usize| i64::try_from(1 + numbers.below(most)).unwrap_or(1) * 50;
        let soon = rule.ends_at(now - 350 * DAY).filter(|ends| *ends > now);
        made.earn(self, Asset::Points, "old", hundreds(6), now - 20 * DAY, None, soon);
        made.earn(
            self,
            Asset::Points,
            "new",
            hundreds(40),
            now - 3 * DAY,
            None,
            rule.ends_at(now),
        );
        if index.is_multiple_of(3) {
            let ready = Some(now + 5 * DAY);
            made.earn(
                self,
                Asset::Points,
                "pending",
                hundreds(4),
                now - DAY,
                ready,
                rule.ends_at(now),
            );
        }
        if index % 4 == 1 {
            made.earn(
                self,
                Asset::Balance,
                "stored",
                hundreds(20) * 10,
                now - 2 * DAY,
                None,
                None,
            );
        }
        for asset in [Asset::Points, Asset::Balance] {
            let lots: Vec<_> = made.posted.iter().filter(|posted| posted.asset == asset).collect();
            for lot in lots.iter().filter_map(|posted| posted.entry.lot) {
                let open = made
                    .account
                    .ledger(asset)
                    .lots
                    .iter()
                    .find(|open| open.number == lot.number);
                made.lots.push(LotNow {
                    member,
                    asset,
                    number: lot.number,
                    free: open.map_or(0, |open| open.free),
                    held: open.map_or(0, |open| open.held),
                    made: Some(lot),
                });
            }
        }
        made.account.version = 1;
        made
    }
}

impl Made {
    #[expect(clippy::too_many_arguments, reason = "a line of a table")]
    fn earn(
        &mut self,
        work: &Work<'_>,
        asset: Asset,
        name: &str,
        amount: i64,
        at: Millis,
        ready_at: Option<Millis>,
        ends_at: Option<Millis>,
    ) {
        let member = self.account.member;
        let (of, reason) = match asset {
            Asset::Points => (Origin::Gift, Reason::Gift),
            Asset::Balance => (Origin::TopUp, Reason::TopUp),
        };
        let source = source_of(work.tenant, of, &format!("demo {member} {name}"));
        let cause = Cause {
            source: Some(source),
            note: Some(Arc::from("demo")),
            ..Cause::own(reason, at)
        };
        let earned = Earned {
            amount,
            at,
            ready_at,
            ends_at,
        };
        let mut out: Vec<Entry> = Vec::new();
        let entry = self.account.ledger(asset).entries + 1;
        if self
            .account
            .ledger_mut(asset)
            .earn(EntryKind::Earn, earned, cause, &mut out)
            .is_ok()
        {
            self.earnings.push(Earning {
                source,
                member,
                entry,
                amount,
                taken_back: 0,
                rule: 0,
                paid: 0,
                category: None,
                at,
            });
        }
        let posted = out.into_iter();
        self.posted.extend(posted.map(|entry| Posted { member, asset, entry }));
    }
}
