//! Slips as PDF: of a sale, of its void, of a return, in either language.

mod page;
mod words;

use counterfoil_domain::{
    ids::OperationId,
    operations::{Action, TopUp, VoidRedemption},
    people::{Member, mask_name},
    sales::{Return, Sale, Till},
    time::Millis,
};
use counterfoil_protocol::operation::open;
use jiff::{Timestamp, tz::TimeZone};
use page::{Paper, Row};
use sqlx::SqliteConnection;
pub use words::Language;
use words::Words;

use super::coupon_title;
use crate::{
    db::Fault,
    error::{Error, Result},
    identity::{self, Identity},
    inner::Inner,
    journal::{self, Title},
    points::{self, AccountCard},
    queue, replica,
};

/// The slip of an operation of this store.
pub(crate) async fn slip(inner: &Inner, id: OperationId, language: Language) -> Result<Vec<u8>> {
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    let (title, rows) = rows(&mut db, &who, id, language, inner.clock.now()).await?;
    drop(db);
    // The font alone is some 20 MB to read.
    tokio::task::spawn_blocking(move || Paper::new()?.print(&rows, title, language)).await?
}

/// What is printed, row by row, and what the whole is called.
async fn rows(
    db: &mut SqliteConnection,
    who: &Identity,
    id: OperationId,
    language: Language,
    now: Millis,
) -> Result<(String, Vec<Row>)> {
    let written = journal::text(db, id).await?;
    let (action, by) = match &written {
        Some((text, by)) => {
            let (_, arrival) =
                open(0, text).map_err(|error| Error::database(Fault::Corrupt, format!("an operation: {error}")))?;
            (arrival.action.map(|action| (action, arrival.occurred_at)), by.as_str())
        }
        None => (None, ""),
    };
    let sale_of = async |db: &mut SqliteConnection, id| replica::sale(db, id).await;
    let mut print = Print {
        title: String::new(),
        rows: Vec::new(),
        words: language.words(),
        language,
        zone: TimeZone::get(&who.store.time_zone).unwrap_or(TimeZone::UTC),
        currency: String::new(),
        now,
    };
    match action {
        Some((Action::SettleSale(settled), at)) => {
            let till = Till {
                store: who.store.id,
                device: who.device,
                at,
            };
            let sale = match sale_of(db, id).await? {
                Some(sale) => sale,
                None => Sale::of(id, till, &settled).ok_or(Error::SlipUnavailable)?,
            };
            print.sale(db, who, &sale, by).await?;
        }
        Some((Action::VoidRedemption(VoidRedemption { target, reason, .. }), at)) => {
            let sale = sale_of(db, target).await?.ok_or(Error::SlipUnavailable)?;
            print
                .undone(
                    db,
                    who,
                    &sale,
                    Done {
                        id,
                        at,
                        by,
                        why: &reason,
                    },
                )
                .await?;
        }
        Some((Action::ReturnSale(back), at)) => {
            let sale = sale_of(db, back.target).await?.ok_or(Error::SlipUnavailable)?;
            let done = Done {
                id,
                at,
                by,
                why: &back.reason,
            };
            print.returned(db, who, &sale, &back, done).await?;
        }
        Some((Action::TopUp(paid), at)) => {
            let done = Done { id, at, by, why: "" };
            print.paid_in(db, who, &paid, done).await?;
        }
        Some(_) => return Err(Error::SlipUnavailable),
        // Settled on another counter of the store.
        None => {
            let sale = sale_of(db, id).await?.ok_or(Error::SlipUnavailable)?;
            print.sale(db, who, &sale, by).await?;
        }
    }
    Ok((print.title, print.rows))
}

/// What was done to a sale.
struct Done<'a> {
    id: OperationId,
    at: Millis,
    by: &'a str,
    why: &'a str,
}

struct Print {
    title: String,
    rows: Vec<Row>,
    words: &'static Words,
    language: Language,
    zone: TimeZone,
    currency: String,
    /// The device's own clock.
    now: Millis,
}

impl Print {
    fn pick<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        match self.language {
            Language::Zh => zh,
            Language::En => en,
        }
    }

    fn name<'a>(&self, title: &'a Title) -> &'a str {
        self.pick(&title.zh, &title.en)
    }

    fn money(&self, amount: i64) -> String {
        words::money(amount, &self.currency)
    }

    fn time(&self, at: Millis) -> String {
        match Timestamp::from_millisecond(at) {
            Ok(at) => at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            Err(_) => String::new(),
        }
    }

    fn pair(&mut self, left: impl Into<String>, right: impl Into<String>) {
        self.rows.push(Row::pair(left, right));
    }

    fn head(&mut self, who: &Identity, title: &str) {
        let store = self.pick(&who.store.name_zh, &who.store.name_en).to_owned();
        self.title = title.to_owned();
        self.rows.push(Row::centred(store));
        self.rows.push(Row::big(title));
        self.rows.push(Row::Rule);
    }

    fn about(&mut self, sale: &Sale, member: Option<&Member>) {
        self.currency = sale.currency.clone();
        self.pair(self.words.receipt, sale.receipt.clone());
        if let Some(member) = member {
            self.pair(
                self.words.member,
                format!("{} {}", member.number, mask_name(&member.name)),
            );
        }
    }

    fn done(&mut self, id: OperationId, at: Millis, by: &str) {
        let time = self.time(at);
        self.pair(self.words.time, time);
        if !by.is_empty() {
            self.pair(self.words.clerk, by);
        }
        self.rows.push(Row::small(format!("{} {id}", self.words.operation)));
        self.rows.push(Row::Rule);
    }

    async fn sale(&mut self, db: &mut SqliteConnection, who: &Identity, sale: &Sale, by: &str) -> Result<()> {
        let member = super::member(db, sale.member).await?;
        self.head(who, self.words.sale);
        if sale.voided_by.is_some() {
            self.rows.push(Row::big(self.words.voided));
        }
        self.about(sale, member.as_ref());
        self.done(sale.id, sale.at, by);
        let mut subtotal = 0_i64;
        let by_points = sale.account.points.as_ref().map(|sold| sold.used.shares.as_slice());
        for (place, line) in sale.lines.iter().enumerate() {
            let list = line.sold.list().unwrap_or(0);
            subtotal = subtotal.saturating_add(list);
            let name = self.pick(&line.sold.name_zh, &line.sold.name_en).to_owned();
            self.rows.push(Row::plain(name));
            let each = format!("  {} × {}", line.sold.quantity, self.money(line.sold.unit_price));
            let list_text = self.money(list);
            self.pair(each, list_text);
            let share = by_points.and_then(|shares| shares.get(place)).copied().unwrap_or(0);
            let before_points = line.net.saturating_add(share);
            if before_points != list {
                let off = self.money(before_points.saturating_sub(list));
                self.pair(format!("  {}", self.words.off), off);
            }
        }
        self.rows.push(Row::Rule);
        let total = self.money(subtotal);
        self.pair(self.words.subtotal, total);
        for sold in &sale.coupons {
            let title = coupon_title(db, &sold.used).await?;
            let off = self.money(sold.used.discount.saturating_neg());
            let name = self.name(&title).to_owned();
            self.pair(format!("{} {name}", self.words.coupon), off);
        }
        if let Some(sold) = &sale.account.points {
            let off = self.money(-sale.points_money());
            let label = format!("{} {}", self.words.points_used, words::points(sold.used.points));
            self.pair(label, off);
        }
        self.payable(sale.payable);
        if let Some(sold) = sale.account.balance {
            let paid = self.money(sold.paid.amount);
            self.pair(self.words.balance_paid, paid);
        }
        self.pair(self.words.tender, self.language.tender(&sale.tender).to_owned());
        if sale.paid_back() > 0 {
            let back = self.money(sale.paid_back());
            self.pair(self.words.refunded, back);
        }
        if let Some(earned) = sale.account.earned.filter(|_| sale.voided_by.is_none()) {
            self.pair(
                self.words.points_earned,
                words::points(earned.points - earned.taken_back),
            );
        }
        self.left(db, who, sale).await
    }

    /// What the member has left, where the sale did something to that.
    async fn left(&mut self, db: &mut SqliteConnection, who: &Identity, sale: &Sale) -> Result<()> {
        let (Some(member), false) = (sale.member, sale.account.is_none()) else {
            return Ok(());
        };
        if let Some(held) = points::account(db, member).await? {
            let card = AccountCard::of(&held.row, who.true_time(self.now));
            self.pair(self.words.points_left, words::points(card.points.available));
            if sale.account.balance.is_some() {
                let left = self.money(card.balance.available);
                self.pair(self.words.balance_left, left);
            }
        }
        Ok(())
    }

    fn payable(&mut self, amount: i64) {
        let text = format!("{} {}", self.currency, self.money(amount));
        self.rows.push(Row::total(self.words.payable, text));
    }

    async fn undone(&mut self, db: &mut SqliteConnection, who: &Identity, sale: &Sale, done: Done<'_>) -> Result<()> {
        let member = super::member(db, sale.member).await?;
        self.head(who, self.words.void);
        self.about(sale, member.as_ref());
        self.done(done.id, done.at, done.by);
        self.pair(self.words.reason, done.why);
        for sold in &sale.coupons {
            let title = coupon_title(db, &sold.used).await?;
            let name = self.name(&title).to_owned();
            self.pair(self.words.given_back, name);
        }
        let text = format!("{} {}", self.currency, self.money(sale.payable));
        self.rows.push(Row::total(self.words.refund, text));
        self.signature();
        Ok(())
    }

    async fn paid_in(&mut self, db: &mut SqliteConnection, who: &Identity, paid: &TopUp, done: Done<'_>) -> Result<()> {
        self.currency = replica::currency(db).await?.unwrap_or_default();
        let voided = queue::find(db, done.id).await?.is_some_and(|entry| entry.voided);
        self.head(who, self.words.paid_in);
        if voided {
            self.rows.push(Row::big(self.words.voided));
        }
        self.pair(self.words.receipt, paid.receipt.clone());
        if let Some(member) = super::member(db, Some(paid.member)).await? {
            self.pair(
                self.words.member,
                format!("{} {}", member.number, mask_name(&member.name)),
            );
        }
        self.done(done.id, done.at, done.by);
        let text = format!("{} {}", self.currency, self.money(paid.amount));
        self.rows.push(Row::total(self.words.paid_in, text));
        self.pair(self.words.tender, self.language.tender(&paid.tender).to_owned());
        if let Some(held) = points::account(db, paid.member).await? {
            let card = AccountCard::of(&held.row, who.true_time(self.now));
            let left = self.money(card.balance.available);
            self.pair(self.words.balance_left, left);
        }
        self.signature();
        Ok(())
    }

    async fn returned(
        &mut self,
        db: &mut SqliteConnection,
        who: &Identity,
        sale: &Sale,
        back: &Return,
        done: Done<'_>,
    ) -> Result<()> {
        let member = super::member(db, sale.member).await?;
        self.head(who, self.words.returned);
        self.about(sale, member.as_ref());
        self.done(done.id, done.at, done.by);
        for line in &back.lines {
            let sold = usize::try_from(line.line).ok().and_then(|place| sale.lines.get(place));
            if let Some(sold) = sold {
                let name = self.pick(&sold.sold.name_zh, &sold.sold.name_en).to_owned();
                self.rows.push(Row::plain(name));
            }
            let refund = self.money(line.refund);
            self.pair(format!("  × {}", line.quantity), refund);
        }
        self.rows.push(Row::Rule);
        self.pair(self.words.reason, done.why);
        for sold in sale
            .coupons
            .iter()
            .filter(|sold| back.coupons.contains(&sold.used.coupon))
        {
            let title = coupon_title(db, &sold.used).await?;
            let name = self.name(&title).to_owned();
            self.pair(self.words.given_back, name);
        }
        let refund = back.refund().unwrap_or(0);
        let text = format!("{} {}", self.currency, self.money(refund));
        self.rows.push(Row::total(self.words.refund, text));
        if back.to_balance > 0 {
            let (to_balance, till) = (self.money(back.to_balance), self.money(refund - back.to_balance));
            self.pair(self.words.balance_back, to_balance);
            self.pair(self.words.by_till, till);
        }
        self.left(db, who, sale).await?;
        self.signature();
        Ok(())
    }

    fn signature(&mut self) {
        self.rows.push(Row::Gap);
        self.rows
            .push(Row::plain(format!("{} ________________", self.words.signature)));
    }
}

#[cfg(test)]
mod tests;
