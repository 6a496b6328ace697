//! What is earned with a purchase or a review, and what points are worth when they are spent: one rule of the chain, in
//! versions that never change.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::Amounts;
use crate::time::{DAY, Millis};

/// A factor of one, basis points.
pub const ONE_BP: i64 = 10_000;
/// The largest factor, basis points: a hundredfold.
pub const MOST_FACTOR_BP: i64 = 100 * ONE_BP;
/// Most rates, and most factors, of a rule.
pub const MOST_PARTS: usize = 100;
/// The longest life of a lot and the longest wait for it, days; of a life in months as many days' worth of them.
pub const MOST_DAYS: i64 = 36_500;

/// So many points for so much money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// For lines of this category; `None` = for all that have no rate of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Points, >= 0.
    pub points: i64,
    /// For each so much paid, minor units, >= 1.
    pub per: i64,
}

/// What becomes of the part of a point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// It is lost.
    #[default]
    Down,
    /// From one half it is a whole one.
    Nearest,
    /// It is a whole one.
    Up,
}

/// Days on which more is earned. What is not said does not matter; of several that hold the largest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Days of the week, 1 = Monday to 7 = Sunday; none = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<i8>,
    /// Days of the month, from 1; none = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<i8>,
    /// The first day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// How much more, basis points: 20000 = twice as much.
    pub factor_bp: i64,
}

impl Factor {
    fn holds(&self, day: Date) -> bool {
        (self.weekdays.is_empty() || self.weekdays.contains(&day.weekday().to_monday_one_offset()))
            && (self.days.is_empty() || self.days.contains(&day.day()))
            && self.from.is_none_or(|from| from <= day)
            && self.until.is_none_or(|until| day <= until)
    }
}

/// How long a lot lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It does not end.
    #[default]
    Never,
    /// So many days.
    Days(
        /// From 0: to the end of its own day.
        i64,
    ),
    /// So many months.
    Months(
        /// From 0: to the end of its own month, where lots end with a month.
        i64,
    ),
}

/// When on its last day a lot ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndOf {
    /// At the end of that day.
    #[default]
    Day,
    /// At the end of that day's month.
    Month,
}

/// What points are worth at the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spending {
    /// Minor units that one point pays, >= 1.
    pub minor_per_point: i64,
    /// The most of what coupons left that points may pay, basis points.
    pub max_share_bp: i64,
    /// The most that a counter may let be spent without head office's word, points; 0 = none.
    #[serde(default)]
    pub offline_limit: i64,
}

/// A version of the chain's rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarningRule {
    /// From 1.
    pub version: i64,
    /// The chain's own zone, by its IANA name: its days and months are counted in it.
    pub time_zone: String,
    /// What purchases earn; none = nothing.
    #[serde(default)]
    pub rates: Vec<Rate>,
    /// What becomes of parts of points.
    #[serde(default)]
    pub rounding: Rounding,
    /// Days on which more is earned.
    #[serde(default)]
    pub factors: Vec<Factor>,
    /// The most that one member earns with purchases on one day; `None` = as much as they buy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_a_day: Option<i64>,
    /// What a review earns, points.
    #[serde(default)]
    pub review: i64,
    /// Days until what was earned may be spent.
    #[serde(default)]
    pub pending_days: i64,
    /// How long a lot lives.
    #[serde(default)]
    pub life: Life,
    /// When on its last day it ends.
    #[serde(default)]
    pub ends: EndOf,
    /// Days that what ended while a shipment was under way lives on once it failed; 0 = none.
    #[serde(default)]
    pub grace_days: i64,
    /// What points are worth; `None` = they pay for nothing at the desk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spending: Option<Spending>,
    /// The most that one person may adjust alone; more takes two.
    #[serde(default)]
    pub adjusted_alone: Amounts,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadRule {
    /// Where.
    pub field: &'static str,
    /// What.
    pub problem: &'static str,
}

impl EarningRule {
    /// Every fault of it.
    pub fn faults(&self) -> Vec<BadRule> {
        let mut faults = Vec::new();
        let mut check = |fits: bool, field, problem| {
            if !fits {
                faults.push(BadRule { field, problem });
            }
        };
        let days = |days: i64| (0..=MOST_DAYS).contains(&days);
        check(self.zone().is_some(), "time_zone", "it is the name of no time zone");
        check(self.rates.len() <= MOST_PARTS, "rates", "there are more than 100");
        check(
            self.rates.iter().all(|rate| (0..=1_000_000).contains(&rate.points)),
            "rates.points",
            "they are numbers from 0 to 1000000",
        );
        check(
            self.rates.iter().all(|rate| rate.per >= 1),
            "rates.per",
            "it is 1 or more",
        );
        let mut categories: Vec<_> = self.rates.iter().map(|rate| &rate.category).collect();
        categories.sort_unstable();
        categories.dedup();
        check(
            categories.len() == self.rates.len(),
            "rates.category",
            "a category has one rate",
        );
        check(self.factors.len() <= MOST_PARTS, "factors", "there are more than 100");
        let factors = || self.factors.iter();
        check(
            factors().all(|factor| (0..=MOST_FACTOR_BP).contains(&factor.factor_bp)),
            "factors.factor_bp",
            "it is a number from 0 to 1000000",
        );
        check(
            factors().all(|factor| factor.weekdays.iter().all(|day| (1..=7).contains(day))),
            "factors.weekdays",
            "they are numbers from 1 to 7",
        );
        check(
            factors().all(|factor| factor.days.iter().all(|day| (1..=31).contains(day))),
            "factors.days",
            "they are numbers from 1 to 31",
        );
        check(
            self.cap_a_day.is_none_or(|cap| cap >= 0),
            "cap_a_day",
            "it is 0 or more",
        );
        check(
            (0..=1_000_000_000).contains(&self.review),
            "review",
            "it is a number from 0 to 1000000000",
        );
        check(
            days(self.pending_days),
            "pending_days",
            "it is a number from 0 to 36500",
        );
        check(days(self.grace_days), "grace_days", "it is a number from 0 to 36500");
        let lives = match self.life {
            Life::Never => true,
            Life::Days(life) => days(life),
            Life::Months(months) => (0..=1_200).contains(&months),
        };
        check(lives, "life", "it is at most 36500 days or 1200 months");
        let alone = self.adjusted_alone;
        check(
            alone.points >= 0 && alone.balance >= 0,
            "adjusted_alone",
            "they are 0 or more",
        );
        if let Some(spending) = self.spending {
            check(
                (1..=1_000_000_000).contains(&spending.minor_per_point),
                "spending.minor_per_point",
                "it is a number from 1 to 1000000000",
            );
            check(
                (0..=ONE_BP).contains(&spending.max_share_bp),
                "spending.max_share_bp",
                "it is a number from 0 to 10000",
            );
            check(spending.offline_limit >= 0, "spending.offline_limit", "it is 0 or more");
        }
        faults
    }

    fn zone(&self) -> Option<TimeZone> {
        TimeZone::get(&self.time_zone).ok()
    }

    fn local(&self, at: Millis) -> Option<Date> {
        let zone = self.zone()?;
        Some(Timestamp::from_millisecond(at).ok()?.to_zoned(zone).date())
    }

    /// The chain's day of an instant, as a number that grows by one a day; 0 where there is none.
    pub fn day(&self, at: Millis) -> i64 {
        let epoch = Date::constant(1970, 1, 1);
        self.local(at)
            .and_then(|day| day.since(epoch).ok())
            .map_or(0, |since| since.get_days().into())
    }

    /// What these lines earn: each its category, and what was paid for it otherwise than with points, minor units. `None`
    /// when the sum does not fit.
    pub fn earned<'l>(&self, lines: impl Iterator<Item = (Option<&'l str>, i64)>, at: Millis) -> Option<i64> {
        let mut paid = vec![0_i128; self.rates.len()];
        for (category, money) in lines {
            let own = |rate: &Rate| category.is_some() && rate.category.as_deref() == category;
            let place = self.rates.iter().position(own);
            let place = place.or_else(|| self.rates.iter().position(|rate| rate.category.is_none()));
            if let Some(sum) = place.and_then(|place| paid.get_mut(place)) {
                *sum += i128::from(money.max(0));
            }
        }
        let factor = i128::from(self.factor_bp(at));
        let mut points = 0_i128;
        for (rate, paid) in self.rates.iter().zip(paid) {
            let whole = paid.checked_mul(i128::from(rate.points))?.checked_mul(factor)?;
            points += self.rounded(whole, i128::from(rate.per.max(1)) * i128::from(ONE_BP));
        }
        i64::try_from(points).ok()
    }

    fn rounded(&self, whole: i128, parts: i128) -> i128 {
        let down = whole / parts;
        let rest = whole % parts;
        match self.rounding {
            Rounding::Nearest if rest * 2 >= parts => down + 1,
            Rounding::Up if rest > 0 => down + 1,
            Rounding::Down | Rounding::Nearest | Rounding::Up => down,
        }
    }

    fn factor_bp(&self, at: Millis) -> i64 {
        let Some(day) = self.local(at) else { return ONE_BP };
        let holding = self.factors.iter().filter(|factor| factor.holds(day));
        holding.map(|factor| factor.factor_bp).max().unwrap_or(ONE_BP)
    }

    /// From when what is earned at an instant may be spent; `None` = at once.
    pub fn ready_at(&self, at: Millis) -> Option<Millis> {
        (self.pending_days > 0).then(|| at.saturating_add(self.pending_days.saturating_mul(DAY)))
    }

    /// The first instant at which what is earned at an instant is over; `None` = it does not end.
    pub fn ends_at(&self, at: Millis) -> Option<Millis> {
        let day = self.local(at)?;
        let last = match self.life {
            Life::Never => return None,
            Life::Days(days) => day.checked_add(days.days()).ok()?,
            Life::Months(months) => day.checked_add(months.months()).ok()?,
        };
        self.end_of(last)
    }

    /// Until when what ended while a shipment was under way lives on; `None` = it does not.
    pub fn grace_until(&self, at: Millis) -> Option<Millis> {
        if self.grace_days <= 0 {
            return None;
        }
        self.end_of(self.local(at)?.checked_add(self.grace_days.days()).ok()?)
    }

    fn end_of(&self, last: Date) -> Option<Millis> {
        self.after(match self.ends {
            EndOf::Day => last,
            EndOf::Month => last.last_of_month(),
        })
    }

    /// The first instant after a day of the tenant; `None` = it has no such day, or the zone is not known.
    pub fn after(&self, last: Date) -> Option<Millis> {
        let next = last.tomorrow().ok()?;
        Some(next.to_zoned(self.zone()?).ok()?.timestamp().as_millisecond())
    }
}

/// The last month, as `2027-01`, in which what ends at this instant may still be used: in the zone of this rule, or UTC.
pub fn last_month(rule: Option<&EarningRule>, ends_at: Millis) -> Option<String> {
    let last = Timestamp::from_millisecond(ends_at.checked_sub(1)?).ok()?;
    let zone = rule.and_then(EarningRule::zone).unwrap_or(TimeZone::UTC);
    let day = last.to_zoned(zone);
    Some(format!("{:04}-{:02}", day.year(), day.month()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> EarningRule {
        EarningRule {
            version: 1,
            time_zone: "Asia/Shanghai".into(),
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
            life: Life::Never,
            ends: EndOf::Day,
            grace_days: 0,
            spending: None,
            adjusted_alone: Amounts::default(),
        }
    }

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn earned(rule: &EarningRule, paid: i64, when: &str) -> Option<i64> {
        rule.earned([(None, paid)].into_iter(), at(when))
    }

    const MORNING: &str = "2026-11-27T01:00:00Z";

    #[test]
    fn whole_units_of_money_earn_and_parts_are_rounded_as_the_rule_says() {
        for (rounding, paid, points) in [
            (Rounding::Down, 19_950, 199),
            (Rounding::Nearest, 19_950, 200),
            (Rounding::Nearest, 19_949, 199),
            (Rounding::Up, 19_901, 200),
            (Rounding::Up, 19_900, 199),
            (Rounding::Down, 0, 0),
        ] {
            let rule = EarningRule { rounding, ..rule() };
            assert_eq!(earned(&rule, paid, MORNING), Some(points), "{rounding:?} {paid}");
        }
    }

    #[test]
    fn a_category_with_a_rate_of_its_own_earns_by_it_alone() {
        let mut rule = rule();
        rule.rates.push(Rate {
            category: Some("tea".into()),
            points: 3,
            per: 100,
        });
        let lines = [(Some("tea"), 150), (Some("cake"), 150), (None, 150), (Some("tea"), 60)];
        // Of tea 2.10 at 3 = 6, of the rest 3.00 at 1 = 3.
        assert_eq!(rule.earned(lines.into_iter(), at(MORNING)), Some(9));
        rule.rates.remove(0);
        assert_eq!(rule.earned(lines.into_iter(), at(MORNING)), Some(6));
    }

    #[test]
    fn days_with_a_factor_are_the_chains_own() {
        let mut rule = rule();
        let friday = Factor {
            weekdays: vec![5],
            days: Vec::new(),
            from: None,
            until: None,
            factor_bp: 20_000,
        };
        rule.factors = vec![
            friday.clone(),
            Factor {
                weekdays: Vec::new(),
                days: vec![27],
                factor_bp: 30_000,
                ..friday
            },
        ];
        // Friday the 27th, the larger one.
        assert_eq!(earned(&rule, 1_000, MORNING), Some(30));
        // Still Friday the 20th in Shanghai at 15:59 UTC, Saturday at 16:00.
        assert_eq!(earned(&rule, 1_000, "2026-11-20T15:59:00Z"), Some(20));
        assert_eq!(earned(&rule, 1_000, "2026-11-20T16:00:00Z"), Some(10));
    }

    #[test]
    fn a_lot_ends_with_the_chains_day_or_month() {
        let life = |life, ends| EarningRule { life, ends, ..rule() };
        let when = at("2026-01-31T17:00:00Z"); // the 1st of February there
        for (rule, end) in [
            (life(Life::Days(0), EndOf::Day), Some("2026-02-01T16:00:00Z")),
            (life(Life::Days(30), EndOf::Day), Some("2026-03-03T16:00:00Z")),
            (life(Life::Months(1), EndOf::Day), Some("2026-03-01T16:00:00Z")),
            (life(Life::Months(0), EndOf::Month), Some("2026-02-28T16:00:00Z")),
            (life(Life::Months(12), EndOf::Month), Some("2027-02-28T16:00:00Z")),
            (life(Life::Never, EndOf::Day), None),
        ] {
            assert_eq!(rule.ends_at(when), end.map(at), "{rule:?}");
        }
    }

    #[test]
    fn a_day_of_twenty_three_hours_is_a_day() {
        let rule = EarningRule {
            time_zone: "Europe/Berlin".into(),
            life: Life::Days(1),
            ..rule()
        };
        // Clocks go forward in the night to the 29th of March 2026.
        assert_eq!(
            rule.ends_at(at("2026-03-28T12:00:00Z")),
            Some(at("2026-03-29T22:00:00Z"))
        );
        assert_eq!(
            rule.day(at("2026-03-29T21:59:59Z")) + 1,
            rule.day(at("2026-03-29T22:00:00Z"))
        );
    }

    #[test]
    fn numbers_that_do_not_fit_earn_nothing_rather_than_something_else() {
        let huge = EarningRule {
            rates: vec![Rate {
                category: None,
                points: 1_000_000,
                per: 1,
            }],
            ..rule()
        };
        assert_eq!(earned(&huge, i64::MAX, MORNING), None);
        assert_eq!(earned(&huge, i64::MIN, MORNING), Some(0));
        assert_eq!(rule().day(Millis::MAX), 0);
        assert_eq!(rule().ends_at(Millis::MAX), None);
    }

    #[test]
    fn every_fault_of_a_rule_is_named() {
        assert_eq!(rule().faults(), Vec::new());
        let mut bad = rule();
        bad.time_zone = "Mars/Olympus".into();
        bad.rates.push(bad.rates[0].clone());
        bad.rates[0].per = 0;
        bad.rates[0].points = -1;
        bad.cap_a_day = Some(-1);
        bad.review = -1;
        bad.pending_days = -1;
        bad.life = Life::Days(36_501);
        bad.grace_days = 36_501;
        bad.factors = vec![Factor {
            weekdays: vec![0],
            days: vec![32],
            from: None,
            until: None,
            factor_bp: -1,
        }];
        bad.spending = Some(Spending {
            minor_per_point: 0,
            max_share_bp: 10_001,
            offline_limit: -1,
        });
        let fields: Vec<_> = bad.faults().iter().map(|fault| fault.field).collect();
        assert_eq!(
            fields,
            [
                "time_zone",
                "rates.points",
                "rates.per",
                "rates.category",
                "factors.factor_bp",
                "factors.weekdays",
                "factors.days",
                "cap_a_day",
                "review",
                "pending_days",
                "grace_days",
                "life",
                "spending.minor_per_point",
                "spending.max_share_bp",
                "spending.offline_limit",
            ]
        );
    }
}
