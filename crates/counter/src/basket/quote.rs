//! From a basket to a quote: which coupons may be laid beside it, and what the pure quote says of them.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::CouponId,
    offline::OfflineUsage,
    points::{
        Account, AccountUse, UsedPoints,
        earning::{self, EarningRule},
    },
    products::Product,
    sales::{SaleLine, Settlement, UsedCoupon},
    settlement::{self, Answer, MAX_COUPONS, Select},
    time::Millis,
    transition::DeviceStatus,
    verdict,
};
use counterfoil_protocol::operation::Evidence;
use sqlx::SqliteConnection;

use super::{
    Basket, Quote, QuoteReason, QuotedCoupon, QuotedLine, QuotedPoints, SaleTicket, Selection, Share, ShownCoupon,
    account::{self, Spending},
};
use crate::{
    ambient::random_bytes,
    desk::{
        Decision,
        judge::{self, Judgement, Setting},
        lookup::{Presented, present},
        reasons::explain,
    },
    error::{Error, Result},
    identity,
    inner::Inner,
    journal::Title,
    members::CardState,
    points::{self, AccountCard},
    replica,
};

/// A coupon that may be laid beside the basket.
#[derive(Debug, Clone)]
struct Candidate {
    shown: Presented,
    presented: bool,
    judged: Judgement,
}

impl Candidate {
    /// Whether the quote has a say in it: what needs head office's word, which can't be had, is not even tried.
    fn is_open(&self) -> bool {
        self.judged.decision != Decision::Unconfirmed
    }
}

/// Quotes a basket and keeps what was shown under a ticket.
pub(crate) async fn quote(inner: &Inner, basket: &Basket) -> Result<Quote> {
    let mut presented = Vec::new();
    let mut unread = Vec::new();
    let mut evidence = Evidence::None;
    for scanned in &basket.coupons {
        match present(inner, scanned, basket.member).await? {
            Ok(found) => {
                if evidence != Evidence::Token {
                    evidence = scanned.evidence();
                }
                presented.push(found);
            }
            Err(verdict) => unread.push(*verdict),
        }
    }
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    if who.device_status == DeviceStatus::Revoked {
        return Err(Error::DeviceRevoked);
    }
    let now = inner.clock.now();
    let setting = Setting {
        who: &who,
        now,
        online: inner.may_ask(),
        presented_by: basket.member,
    };
    let products = products(&mut db, basket).await?;
    let mut candidates = candidates(&mut db, basket, presented, setting).await?;
    let mut work = Work {
        basket: bare(basket, &products, setting),
        lines: lines(basket, &products),
        now: who.true_time(now),
        anybodys: basket.member.is_none(),
    };
    let left_out = work.keep_the_best(&mut candidates)?;
    let purse = Purse::of(&mut db, basket, setting).await?;
    work.basket.points = purse.points(basket.points, setting);
    let mut answer = loop {
        work.lay_beside(&candidates, &basket.select);
        let answer = settlement::quote(&work.basket).map_err(Error::BasketInvalid)?;
        // Alone, all of them together must fit the limits; what does not is set aside, and the rest quoted again.
        if !set_aside(&mut db, &mut candidates, &answer, setting).await? {
            break answer;
        }
    };
    let against = purse.against(&mut db, basket, &answer, setting).await?;
    if !against.is_empty() && answer.points.used > 0 {
        work.basket.points = None;
        answer = settlement::quote(&work.basket).map_err(Error::BasketInvalid)?;
    }
    let notes = work.notes(&candidates, &answer, &basket.select)?;
    let mut settlement = work.settlement(&candidates, &answer, &currency(&mut db, &products).await?, basket);
    settlement.account = purse.account(&answer);
    let (points, earns) = (
        purse.quoted(&mut db, &answer, against, setting).await?,
        purse.earns(&settlement, &answer, setting),
    );
    let used: Vec<ShownCoupon> = answer
        .applied
        .iter()
        .filter_map(|applied| find(&candidates, &applied.coupon))
        .map(|candidate| ShownCoupon {
            coupon: candidate.shown.coupon.clone(),
            template: candidate.shown.template.clone(),
            by_token_only: candidate.shown.by_token_only,
        })
        .collect();
    let view = View {
        products,
        candidates,
        answer,
        notes,
        unread,
        left_out,
        points,
        earns,
        account: purse.card.clone(),
    };
    let mut quote = view.write(&mut db, basket, &settlement, now).await?;
    if !settlement.lines.is_empty() {
        let name = hex::encode(random_bytes::<16>(&*inner.random)?);
        let ticket = SaleTicket {
            settlement,
            coupons: used,
            evidence,
            offline_limit: purse.spends.map_or(0, |spends| spends.offline_limit),
            paying: Default::default(),
        };
        inner.tickets.keep(name.clone(), ticket, inner.clock.monotonic());
        quote.ticket = Some(name);
    }
    Ok(quote)
}

async fn products(db: &mut SqliteConnection, basket: &Basket) -> Result<Vec<Product>> {
    let mut products = Vec::with_capacity(basket.lines.len());
    for line in basket.lines.iter().take(settlement::MAX_LINES + 1) {
        let product = replica::product(db, &line.sku).await?;
        products.push(product.ok_or_else(|| Error::ProductUnknown(line.sku.chars().take(64).collect()))?);
    }
    Ok(products)
}

async fn currency(db: &mut SqliteConnection, products: &[Product]) -> Result<String> {
    match products.first() {
        Some(product) => Ok(product.currency.clone()),
        None => Ok(replica::currency(db).await?.unwrap_or_else(|| "CNY".to_owned())),
    }
}

/// The member's coupons that still could be used, and those that were shown.
async fn candidates(
    db: &mut SqliteConnection,
    basket: &Basket,
    presented: Vec<Presented>,
    setting: Setting<'_>,
) -> Result<Vec<Candidate>> {
    let mut all: Vec<(Presented, bool)> = Vec::new();
    let mut seen = BTreeSet::new();
    for shown in presented {
        if seen.insert(shown.coupon.id) {
            all.push((shown, true));
        }
    }
    if let Some(member) = basket.member {
        let mut held = replica::coupons_of(db, member).await?;
        held.sort_by_key(|held| (held.row.valid_until.unwrap_or(Millis::MAX), held.row.id));
        for held in held {
            let state = CardState::of(&held.row, setting.who.true_time(setting.now));
            if !matches!(state, CardState::Available | CardState::Frozen) || !seen.insert(held.row.id) {
                continue;
            }
            if let Some(template) = replica::template(db, held.row.template, held.row.template_version).await? {
                let shown = Presented {
                    coupon: held.row,
                    template,
                    by_token_only: false,
                };
                all.push((shown, false));
            }
        }
    }
    let mut candidates = Vec::with_capacity(all.len());
    for (shown, presented) in all {
        let judged = judge::for_basket(db, &shown.coupon, &shown.template, 0, OfflineUsage::default(), setting).await?;
        candidates.push(Candidate {
            shown,
            presented,
            judged,
        });
    }
    Ok(candidates)
}

/// Takes away what the limits of working alone don't allow together. Whether anything was.
async fn set_aside(
    db: &mut SqliteConnection,
    candidates: &mut [Candidate],
    answer: &Answer,
    setting: Setting<'_>,
) -> Result<bool> {
    if setting.online {
        return Ok(false);
    }
    let mut before = OfflineUsage::default();
    for applied in &answer.applied {
        let Some(candidate) = candidates.iter_mut().find(|candidate| is(candidate, &applied.coupon)) else {
            continue;
        };
        let (coupon, template) = (&candidate.shown.coupon, &candidate.shown.template);
        let judged = judge::for_basket(db, coupon, template, applied.amount, before, setting).await?;
        if judged.decision == Decision::Unconfirmed {
            candidate.judged = judged;
            return Ok(true);
        }
        before.count += 1;
        before.by_member += 1;
        before.amount = before.amount.saturating_add(applied.amount);
    }
    Ok(false)
}

fn is(candidate: &Candidate, id: &str) -> bool {
    candidate.shown.coupon.id.to_string() == id
}

fn find<'a>(candidates: &'a [Candidate], id: &str) -> Option<&'a Candidate> {
    candidates.iter().find(|candidate| is(candidate, id))
}

fn lines(basket: &Basket, products: &[Product]) -> Vec<SaleLine> {
    basket
        .lines
        .iter()
        .zip(products)
        .map(|(line, product)| SaleLine {
            sku: product.sku.clone(),
            name_zh: product.name_zh.clone(),
            name_en: product.name_en.clone(),
            category: product.category.clone(),
            merchant: product.merchant.clone(),
            unit_price: line.unit_price.unwrap_or(product.unit_price),
            quantity: line.quantity,
        })
        .collect()
}

/// What the member who stands there has, and what points are worth.
#[derive(Debug, Default)]
struct Purse {
    account: Option<Account>,
    card: Option<AccountCard>,
    rule: Option<EarningRule>,
    spends: Option<earning::Spending>,
}

impl Purse {
    async fn of(db: &mut SqliteConnection, basket: &Basket, setting: Setting<'_>) -> Result<Self> {
        let Some(member) = basket.member else {
            return Ok(Self::default());
        };
        let account = points::account(db, member).await?.map(|held| held.row);
        let now = setting.who.true_time(setting.now);
        let rule = points::newest_rule(db).await?;
        Ok(Self {
            card: account.as_ref().map(|account| AccountCard::of(account, now)),
            spends: rule.as_ref().and_then(|rule| rule.spending),
            account,
            rule,
        })
    }

    fn available(&self) -> i64 {
        self.card.as_ref().map_or(0, |card| card.points.available)
    }

    /// So many points beside the basket, as far as they are here; without a line, as far as the rule lets them be spent.
    fn points(&self, wanted: i64, setting: Setting<'_>) -> Option<settlement::Points> {
        let spends = self.spends.filter(|_| self.card.is_some())?;
        let available = if setting.online {
            self.available()
        } else {
            self.available().min(spends.offline_limit)
        };
        Some(settlement::Points {
            r#use: wanted,
            available,
            minor_per_point: spends.minor_per_point,
            max_share_bp: spends.max_share_bp,
        })
    }

    /// What speaks against spending points at all, or these, once the coupons are counted.
    async fn against(
        &self,
        db: &mut SqliteConnection,
        basket: &Basket,
        answer: &Answer,
        setting: Setting<'_>,
    ) -> Result<Vec<verdict::Reason>> {
        let (Some(spends), Some(member)) = (self.spends, basket.member) else {
            return Ok(Vec::new());
        };
        if setting.online || self.available() == 0 {
            return Ok(Vec::new());
        }
        let mut before = OfflineUsage::default();
        for applied in &answer.applied {
            before.count += 1;
            before.by_member += 1;
            before.amount = before.amount.saturating_add(applied.amount);
        }
        let points = answer.points.used.max(1);
        let spending = Spending {
            points,
            worth: points.saturating_mul(spends.minor_per_point),
            offline_limit: spends.offline_limit,
            balance: 0,
        };
        let against = account::spending(db, member, spending, self.card.as_ref(), before, setting).await?;
        Ok(against.points)
    }

    async fn quoted(
        &self,
        db: &mut SqliteConnection,
        answer: &Answer,
        against: Vec<verdict::Reason>,
        setting: Setting<'_>,
    ) -> Result<Option<QuotedPoints>> {
        let Some(points) = self.points(i64::MAX, setting) else {
            return Ok(None);
        };
        let most = points.pay(answer.payable.saturating_add(answer.points.amount), 0).used;
        Ok(Some(QuotedPoints {
            used: answer.points.used,
            amount: answer.points.amount,
            most: if against.is_empty() { most } else { 0 },
            minor_per_point: points.minor_per_point,
            decision: match (setting.online, against.is_empty()) {
                (true, _) => Decision::Honour,
                (false, true) => Decision::HonourOffline,
                (false, false) => Decision::Unconfirmed,
            },
            reasons: explain(db, against).await?,
        }))
    }

    /// What the sale does to the account, but for the stored value that pays.
    fn account(&self, answer: &Answer) -> AccountUse {
        let spends = self.spends.filter(|_| answer.points.used > 0);
        AccountUse {
            points: spends.map(|spends| UsedPoints {
                points: answer.points.used,
                minor_per_point: spends.minor_per_point,
                shares: answer.lines.iter().map(|line| line.points).collect(),
                freeze: None,
            }),
            balance: None,
            rule: self.earning().map(|rule| rule.version),
        }
    }

    /// The rule, where purchases earn anything by it.
    fn earning(&self) -> Option<&EarningRule> {
        self.rule.as_ref().filter(|rule| !rule.rates.is_empty())
    }

    /// What the basket earns.
    fn earns(&self, settlement: &Settlement, answer: &Answer, setting: Setting<'_>) -> i64 {
        let Some(rule) = self.earning() else { return 0 };
        let now = setting.who.true_time(setting.now);
        let lines = settlement.lines.iter().zip(&answer.lines);
        let paid = lines.map(|(line, answer)| (line.category.as_deref(), answer.net));
        let earned = rule.earned(paid, now).unwrap_or(0);
        match &self.account {
            Some(account) => account.earnable(rule, now, earned),
            None => earned,
        }
    }
}

/// The basket without coupons.
fn bare(basket: &Basket, products: &[Product], setting: Setting<'_>) -> settlement::Basket {
    const NANOS: i128 = 1_000_000;
    settlement::Basket {
        currency: products
            .first()
            .map(|product| product.currency.clone())
            .unwrap_or_default(),
        at: settlement::Instant::from(setting.who.true_time(setting.now)) * NANOS,
        store: Some(setting.who.store.id.to_string()),
        member: basket.member.map(|member| member.to_string()),
        lines: lines(basket, products)
            .into_iter()
            .zip(1..)
            .map(|(line, number): (SaleLine, usize)| settlement::Line {
                id: number.to_string(),
                sku: line.sku,
                category: line.category,
                merchant: line.merchant,
                unit_price: line.unit_price,
                quantity: line.quantity,
            })
            .collect(),
        coupons: Vec::new(),
        points: None,
        policy: settlement::Policy::default(),
        select: Select::Best,
    }
}

struct Work {
    basket: settlement::Basket,
    lines: Vec<SaleLine>,
    now: Millis,
    /// Nobody stands there by name: a coupon is whoever's it is that shows it, as when it is redeemed by itself.
    anybodys: bool,
}

impl Work {
    fn input(&self, candidate: &Candidate) -> settlement::Coupon {
        let mut input = candidate.shown.coupon.for_quote(&candidate.shown.template, self.now);
        if self.anybodys {
            input.member = None;
        }
        input
    }

    fn alone(&self, candidate: &Candidate) -> Result<Answer> {
        let alone = settlement::Basket {
            coupons: vec![self.input(candidate)],
            select: Select::Best,
            ..self.basket.clone()
        };
        settlement::quote(&alone).map_err(Error::BasketInvalid)
    }

    /// One quote looks at 30 coupons. Where there are more, those that were shown stay, then those that take most.
    fn keep_the_best(&self, candidates: &mut Vec<Candidate>) -> Result<usize> {
        if candidates.len() <= MAX_COUPONS {
            return Ok(0);
        }
        let mut ranked = Vec::with_capacity(candidates.len());
        for candidate in candidates.drain(..) {
            let takes = self.alone(&candidate)?.discount;
            ranked.push((candidate, takes));
        }
        ranked
            .sort_by_key(|(candidate, takes)| (!candidate.presented, !candidate.is_open(), std::cmp::Reverse(*takes)));
        let left_out = ranked.len().saturating_sub(MAX_COUPONS);
        candidates.extend(ranked.into_iter().take(MAX_COUPONS).map(|(candidate, _)| candidate));
        Ok(left_out)
    }

    fn lay_beside(&mut self, candidates: &[Candidate], select: &Selection) {
        let open = candidates.iter().filter(|candidate| candidate.is_open());
        self.basket.coupons = open.map(|candidate| self.input(candidate)).collect();
        self.basket.select = match select {
            Selection::Best => Select::Best,
            Selection::Given(ids) => {
                let mut listed: Vec<String> = Vec::new();
                for id in ids.iter().map(CouponId::to_string) {
                    let laid = self.basket.coupons.iter().any(|coupon| coupon.id == id);
                    if laid && !listed.contains(&id) {
                        listed.push(id);
                    }
                }
                Select::Listed(listed)
            }
        };
    }

    /// Why each coupon is not used. Of one that was not asked for: what speaks against it by itself.
    fn notes(
        &self,
        candidates: &[Candidate],
        answer: &Answer,
        select: &Selection,
    ) -> Result<BTreeMap<CouponId, Vec<settlement::Reason>>> {
        let mut notes = BTreeMap::new();
        for candidate in candidates {
            let id = candidate.shown.coupon.id;
            let said = answer.refused.iter().find(|refused| is(candidate, &refused.coupon));
            let used = answer.applied.iter().any(|applied| is(candidate, &applied.coupon));
            if let Some(said) = said {
                notes.insert(id, said.reasons.clone());
            } else if !used && (matches!(select, Selection::Given(_)) || !candidate.is_open()) {
                let alone = self.alone(candidate)?;
                let reasons = alone.refused.into_iter().flat_map(|refused| refused.reasons);
                notes.insert(id, reasons.collect());
            }
        }
        Ok(notes)
    }

    fn settlement(&self, candidates: &[Candidate], answer: &Answer, currency: &str, basket: &Basket) -> Settlement {
        let coupons = answer.applied.iter().filter_map(|applied| {
            let shown = &find(candidates, &applied.coupon)?.shown;
            let share = |line: &settlement::Line| {
                let share = applied.lines.iter().find(|share| share.line == line.id);
                share.map_or(0, |share| share.amount)
            };
            Some(UsedCoupon {
                coupon: shown.coupon.id,
                template: shown.template.id,
                template_version: shown.template.version,
                discount: applied.amount,
                shares: self.basket.lines.iter().map(share).collect(),
                freeze: None,
            })
        });
        Settlement {
            account: AccountUse::default(),
            currency: currency.to_owned(),
            lines: self.lines.clone(),
            coupons: coupons.collect(),
            member: basket.member,
            payable: answer.payable,
            tender: String::new(),
            receipt: String::new(),
        }
    }
}

/// What a quote is shown from.
struct View {
    products: Vec<Product>,
    candidates: Vec<Candidate>,
    answer: Answer,
    notes: BTreeMap<CouponId, Vec<settlement::Reason>>,
    unread: Vec<crate::desk::Verdict>,
    left_out: usize,
    points: Option<QuotedPoints>,
    earns: i64,
    account: Option<AccountCard>,
}

impl View {
    async fn write(
        mut self,
        db: &mut SqliteConnection,
        basket: &Basket,
        settlement: &Settlement,
        now: Millis,
    ) -> Result<Quote> {
        let names: BTreeMap<String, Title> = self
            .candidates
            .iter()
            .map(|candidate| {
                let template = &candidate.shown.template;
                let title = Title {
                    zh: template.name_zh.clone(),
                    en: template.name_en.clone(),
                };
                (candidate.shown.coupon.id.to_string(), title)
            })
            .collect();
        let place = |candidate: &Candidate| {
            let applied = self.answer.applied.iter();
            applied
                .clone()
                .position(|applied| is(candidate, &applied.coupon))
                .unwrap_or(usize::MAX)
        };
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_by_key(place);
        let mut coupons = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let id = candidate.shown.coupon.id;
            let applied = self
                .answer
                .applied
                .iter()
                .find(|applied| is(&candidate, &applied.coupon));
            let refused = self.notes.remove(&id).unwrap_or_default();
            // What the quote says of a coupon it says in its own words.
            let told = if candidate.judged.decision == Decision::Unconfirmed || refused.is_empty() {
                candidate.judged.reasons
            } else {
                Vec::new()
            };
            coupons.push(QuotedCoupon {
                coupon: candidate.shown.coupon,
                template: candidate.shown.template,
                presented: candidate.presented,
                applied: applied.map(|applied| applied.amount),
                refused: refused
                    .into_iter()
                    .map(|reason| QuoteReason {
                        excluded_by: match &reason {
                            settlement::Reason::ExcludedBy { coupons } => {
                                coupons.iter().filter_map(|id| names.get(id).cloned()).collect()
                            }
                            _ => Vec::new(),
                        },
                        reason,
                    })
                    .collect(),
                decision: candidate.judged.decision,
                reasons: explain(db, told).await?,
            });
        }
        let sold = settlement.lines.iter().zip(self.products);
        let lines = self.answer.lines.iter().zip(sold).enumerate();
        let lines = lines.map(|(place, (line, (sold, product)))| QuotedLine {
            line: line.line.clone(),
            product,
            unit_price: sold.unit_price,
            quantity: sold.quantity,
            list: line.list,
            discount: line.discount,
            points: line.points,
            net: line.net,
            shares: settlement
                .coupons
                .iter()
                .filter_map(|used| {
                    let amount = used.shares.get(place).copied().filter(|amount| *amount > 0)?;
                    Some(Share {
                        coupon: used.coupon,
                        amount,
                    })
                })
                .collect(),
        });
        Ok(Quote {
            ticket: None,
            currency: settlement.currency.clone(),
            subtotal: self.answer.subtotal,
            discount: self.answer.discount,
            points: self.points,
            payable: self.answer.payable,
            earns: self.earns,
            account: self.account,
            lines: lines.collect(),
            coupons,
            unread: self.unread,
            left_out: self.left_out,
            member: match basket.member {
                Some(id) => replica::member(db, id).await?,
                None => None,
            },
            shown_at: now,
        })
    }
}
