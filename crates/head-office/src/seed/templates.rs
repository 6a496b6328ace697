//! Coupon templates of the demo: all kinds of rules, all offline policies.

use counterfoil_domain::{
    coupons::{OfflinePolicy, Template},
    ids::{StoreId, TemplateId},
    settlement::{Basis, Kind, Only, Scope, Stacking},
    transition::LimitCounts,
};

use super::{
    numbers::{self, Ids},
    products::OWN,
};
use crate::coupons::templates::{Checked, Validity, Window};

/// A template version of the demo, published from the start.
#[derive(Debug, Clone)]
pub struct NewTemplate {
    /// What counters know.
    pub template: Template,
    /// Two digits of coupon codes.
    pub product_line: String,
    /// As `product_line`.
    pub category: String,
    /// Days of validity after the claim.
    pub valid_days: i64,
}

impl NewTemplate {
    /// What an operator would have said of it.
    pub fn checked(&self) -> Checked {
        let template = self.template.clone();
        Checked {
            name_zh: template.name_zh,
            name_en: template.name_en,
            logo: None,
            category: self.category.clone(),
            product_line: self.product_line.clone(),
            stacking: template.stacking.named(&template.rule.kind),
            rule: template.rule,
            scope: template.scope,
            stores: template.stores,
            validity: Validity {
                from: None,
                until: None,
                days: Some(self.valid_days),
            },
            claim: Window::default(),
            member_limit: None,
            limit_counts: LimitCounts::Taken,
            offline: template.offline,
            floor_limit: template.floor_limit,
            worth_unbounded: template.worth_unbounded,
        }
    }
}

struct Draft {
    zh: &'static str,
    en: &'static str,
    rule: Kind,
    offline: OfflinePolicy,
    floor_limit: i64,
    /// Booked when a coupon without a bound of its own is used twice.
    worth: i64,
    first_store_only: bool,
    exclusive: bool,
    scope: Scope,
}

impl Draft {
    fn new(zh: &'static str, en: &'static str, rule: Kind, offline: OfflinePolicy) -> Self {
        Self {
            zh,
            en,
            rule,
            offline,
            floor_limit: if offline == OfflinePolicy::FloorLimit { 5_000 } else { 0 },
            worth: 0,
            first_store_only: false,
            exclusive: false,
            scope: Scope::default(),
        }
    }
}

fn drafts() -> Vec<Draft> {
    use OfflinePolicy::{FloorLimit, HomeStore, OnlineOnly};
    let percent = |percent_bp, max_discount| Kind::PercentOff {
        percent_bp,
        threshold: None,
        max_discount,
        basis: Basis::Net,
    };
    let only = |merchants: &[&str], categories: &[&str]| Scope {
        only: Some(Only {
            merchants: merchants.iter().map(|&name| name.to_owned()).collect(),
            categories: categories.iter().map(|&name| name.to_owned()).collect(),
            skus: Vec::new(),
        }),
        except_skus: Vec::new(),
    };
    let voucher = |sku: &str| Kind::ItemVoucher {
        sku: sku.to_owned(),
        quantity: 1,
    };
    vec![
        Draft::new(
            "满 100 减 20",
            "¥20 off from ¥100",
            Kind::ThresholdOff {
                threshold: 10_000,
                amount: 2_000,
                basis: Basis::Net,
            },
            FloorLimit,
        ),
        Draft::new("立减 10 元", "¥10 off", Kind::AmountOff { amount: 1_000 }, HomeStore),
        Draft {
            worth: 2_800,
            ..Draft::new("美式咖啡兑换券", "Free Americano", voucher("6902001"), OnlineOnly)
        },
        Draft {
            scope: only(&[], &["coffee", "tea", "bakery"]),
            ..Draft::new(
                "饮品糕点每满 50 减 5，最多 4 次",
                "¥5 off every ¥50 of drinks and bakery, up to 4 times",
                Kind::EveryOff {
                    threshold: 5_000,
                    amount: 500,
                    max_times: Some(4),
                    basis: Basis::Net,
                },
                HomeStore,
            )
        },
        Draft::new(
            "全场 85 折，最高减 30",
            "15% off, ¥30 at most",
            percent(1_500, Some(3_000)),
            FloorLimit,
        ),
        Draft {
            exclusive: true,
            ..Draft::new(
                "贵宾立减 200 元",
                "VIP: ¥200 off",
                Kind::AmountOff { amount: 20_000 },
                OnlineOnly,
            )
        },
        Draft {
            worth: 1_500,
            ..Draft::new("可颂兑换券", "Free croissant", voucher("6902002"), HomeStore)
        },
        // Worth more than its floor limit: offline it is refused for that reason.
        Draft {
            scope: only(&[OWN], &[]),
            ..Draft::new(
                "自营满 500 减 80",
                "¥80 off from ¥500 of our own goods",
                Kind::ThresholdOff {
                    threshold: 50_000,
                    amount: 8_000,
                    basis: Basis::Net,
                },
                FloorLimit,
            )
        },
        Draft {
            worth: 5_000,
            scope: Scope {
                only: None,
                except_skus: vec!["6901011".to_owned()],
            },
            ..Draft::new(
                "会员 9 折（音箱除外）",
                "10% off for members, speaker excepted",
                percent(1_000, None),
                HomeStore,
            )
        },
        Draft {
            first_store_only: true,
            ..Draft::new(
                "首店专享立减 15 元",
                "¥15 off, first store only",
                Kind::AmountOff { amount: 1_500 },
                HomeStore,
            )
        },
    ]
}

/// The demo's templates, always the same ones.
pub fn all(ids: Ids, currency: &str, first_store: StoreId) -> Vec<NewTemplate> {
    drafts()
        .into_iter()
        .zip(0u64..)
        .map(|(draft, index)| {
            let (place, at, random) = ids.of(0, numbers::Kind::Template, index);
            NewTemplate {
                // 10 = food and drink; 11 = gifts.
                product_line: if index % 2 == 0 { "10" } else { "11" }.to_owned(),
                category: format!("{:02}", index + 1),
                valid_days: 90,
                template: Template {
                    id: TemplateId::placed(place, at, random),
                    version: 1,
                    name_zh: draft.zh.to_owned(),
                    name_en: draft.en.to_owned(),
                    currency: currency.to_owned(),
                    stores: draft.first_store_only.then(|| vec![first_store]),
                    offline: draft.offline,
                    floor_limit: draft.floor_limit,
                    worth_unbounded: draft.worth,
                    rule: draft.rule.into(),
                    scope: draft.scope,
                    stacking: if draft.exclusive {
                        Stacking::Exclusive
                    } else {
                        Stacking::default()
                    },
                },
            }
        })
        .collect()
}
