//! One coupon as a plain thing, and whether a history of requests that overlapped can be put in an order in which it
//! behaves like that. An order that respects who was answered before who asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use counterfoil_domain::ids::CouponId;
use counterfoil_tests::office::Office;
use sqlx::Row;

use crate::history::{Deed, Done};

/// A coupon that everybody wants.
pub struct Wanted {
    /// Its id.
    pub id: CouponId,
    /// Its code.
    pub code: String,
    /// Its template.
    pub template: Vec<u8>,
    /// Which version of it.
    pub template_version: i64,
}

/// Some that anybody may use now.
pub async fn coupons(office: &Office, count: usize) -> Arc<Vec<Wanted>> {
    let mut database = office.database().await;
    let mut wanted = Vec::new();
    for code in office.coupons("home_store", "s-01").await.into_iter().take(count) {
        let row = sqlx::query("SELECT id, template, template_version FROM coupons WHERE code = $1")
            .bind(code.clone())
            .fetch_one(&mut database)
            .await
            .unwrap();
        wanted.push(Wanted {
            id: CouponId::from_bytes(&row.get::<Vec<u8>, _>("id")).unwrap(),
            code,
            template: row.get("template"),
            template_version: row.get("template_version"),
        });
    }
    assert_eq!(wanted.len(), count, "the seed has too few");
    Arc::new(wanted)
}

/// How a coupon stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Free,
    /// By a counter's freeze.
    Held(String),
    /// By an order.
    Ordered(String),
    /// By an operation, or by an order.
    Used(String),
}

/// Everything that is remembered of a coupon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Coupon {
    standing: Standing,
    /// How orders stand that asked for it.
    orders: BTreeMap<String, &'static str>,
}

impl Coupon {
    /// What a deed does, and the answer it gets.
    fn take(&mut self, deed: &Deed) -> &'static str {
        match deed {
            Deed::Look => match self.standing {
                Standing::Free => "available",
                Standing::Held(_) | Standing::Ordered(_) => "frozen",
                Standing::Used(_) => "redeemed",
            },
            Deed::Freeze(freeze) if self.standing == Standing::Free => {
                self.standing = Standing::Held(freeze.clone());
                "granted"
            }
            Deed::Freeze(_) => "refused",
            Deed::Unfreeze(freeze) => {
                if self.standing == Standing::Held(freeze.clone()) {
                    self.standing = Standing::Free;
                }
                "cancelled"
            }
            Deed::Redeem(freeze, operation) if self.standing == Standing::Held(freeze.clone()) => {
                self.standing = Standing::Used(operation.clone());
                "applied"
            }
            // Whoever is online has head office's word, so this does not happen.
            Deed::Redeem(..) => "never",
            Deed::Undo(operation) => {
                if self.standing == Standing::Used(operation.clone()) {
                    self.standing = Standing::Free;
                }
                "applied"
            }
            Deed::Hold(order) | Deed::Confirm(order) | Deed::Cancel(order) | Deed::Refund(order) => {
                self.order(deed, order)
            }
        }
    }

    fn order(&mut self, deed: &Deed, order: &str) -> &'static str {
        let stands = match (deed, self.orders.get(order).copied()) {
            (Deed::Hold(_), None) if self.standing == Standing::Free => {
                self.standing = Standing::Ordered(order.to_owned());
                "frozen"
            }
            (Deed::Hold(_), None) => "refused",
            (Deed::Hold(_), Some(stands)) => stands,
            (Deed::Confirm(_), Some("frozen")) => {
                self.standing = Standing::Used(order.to_owned());
                "confirmed"
            }
            (Deed::Cancel(_), Some("frozen")) => {
                self.standing = Standing::Free;
                "cancelled"
            }
            (Deed::Cancel(_), None | Some("refused" | "cancelled")) => "cancelled",
            (Deed::Refund(_), Some("confirmed")) => {
                self.standing = Standing::Free;
                "voided"
            }
            (Deed::Confirm(_), Some("confirmed")) => "confirmed",
            (Deed::Refund(_), Some("voided")) => "voided",
            (_, None) => return "404 not_found",
            (..) => return "409 state_conflict",
        };
        self.orders.insert(order.to_owned(), stands);
        stands
    }
}

/// Whether these deeds of one coupon can have happened one after the other; else, how far that went and what came next.
pub fn linearizable(deeds: &[Done]) -> Result<(), String> {
    let mut search = Search {
        deeds,
        seen: BTreeSet::new(),
        longest: Vec::new(),
    };
    let begin = Coupon {
        standing: Standing::Free,
        orders: BTreeMap::new(),
    };
    if search.go(&begin, &mut vec![false; deeds.len()], &mut Vec::new()) {
        return Ok(());
    }
    let shown = |place: &usize| {
        let done = &deeds[*place];
        format!("  {}..{} {:?} = {}", done.asked, done.answered, done.deed, done.answer)
    };
    let known = search.longest.iter().rev().take(8).rev().map(shown);
    let left = (0..deeds.len()).filter(|place| !search.longest.contains(place));
    let left: Vec<String> = left.take(6).map(|place| shown(&place)).collect();
    Err(format!(
        "no order of these fits; the longest that does ends with\n{}\nand these come next\n{}",
        known.collect::<Vec<_>>().join("\n"),
        left.join("\n")
    ))
}

struct Search<'a> {
    /// In the order in which they were asked for.
    deeds: &'a [Done],
    /// From here nothing led on.
    seen: BTreeSet<(Vec<usize>, Coupon)>,
    longest: Vec<usize>,
}

impl Search<'_> {
    fn go(&mut self, coupon: &Coupon, taken: &mut Vec<bool>, order: &mut Vec<usize>) -> bool {
        if order.len() > self.longest.len() {
            self.longest.clone_from(order);
        }
        let Some(first) = taken.iter().position(|taken| !taken) else {
            return true;
        };
        // Whoever asked after somebody was answered comes after them.
        let open = (first..self.deeds.len()).filter(|place| !taken[*place]);
        let soonest = open
            .clone()
            .map(|place| self.deeds[place].answered)
            .min()
            .unwrap_or(u64::MAX);
        let next: Vec<usize> = open.take_while(|place| self.deeds[*place].asked <= soonest).collect();
        // All before `first` is taken, so these few say what is.
        let ahead: Vec<usize> = std::iter::once(first)
            .chain((first..self.deeds.len()).filter(|place| taken[*place]))
            .collect();
        if !self.seen.insert((ahead, coupon.clone())) {
            return false;
        }
        for place in next {
            let mut then = coupon.clone();
            if then.take(&self.deeds[place].deed) != self.deeds[place].answer {
                continue;
            }
            taken[place] = true;
            order.push(place);
            if self.go(&then, taken, order) {
                return true;
            }
            order.pop();
            taken[place] = false;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(deed: Deed, answer: &str, asked: u64, answered: u64) -> Done {
        Done {
            coupon: 0,
            deed,
            answer: answer.to_owned(),
            asked,
            answered,
        }
    }

    fn name(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn two_that_overlap_may_come_in_either_order_and_only_one_succeeds() {
        let first = done(Deed::Freeze(name("a")), "refused", 0, 10);
        let second = done(Deed::Freeze(name("b")), "granted", 5, 20);
        assert_eq!(linearizable(&[first.clone(), second.clone()]), Ok(()));
        let both = [done(Deed::Freeze(name("a")), "granted", 0, 10), second.clone()];
        assert!(linearizable(&both).is_err());
        // Refused though nobody had asked before.
        let one_after_the_other = [first, Done { asked: 11, ..second }];
        assert!(linearizable(&one_after_the_other).is_err());
    }

    #[test]
    fn a_coupon_is_used_again_only_once_it_was_given_back() {
        let redeem = |freeze: &str, at| {
            [
                done(Deed::Freeze(name(freeze)), "granted", at, at + 1),
                done(
                    Deed::Redeem(name(freeze), format!("by {freeze}")),
                    "applied",
                    at + 2,
                    at + 3,
                ),
            ]
        };
        let undone = done(Deed::Undo(name("by a")), "applied", 10, 11);
        let mut deeds: Vec<Done> = redeem("a", 0).into();
        deeds.push(undone.clone());
        deeds.extend(redeem("b", 20));
        assert_eq!(linearizable(&deeds), Ok(()));
        deeds.retain(|done| done.deed != undone.deed);
        assert!(linearizable(&deeds).is_err());
    }

    #[test]
    fn a_look_that_was_answered_before_a_use_was_asked_for_sees_none() {
        let look = done(Deed::Look, "frozen", 0, 1);
        let hold = done(Deed::Hold(name("o")), "frozen", 2, 3);
        assert!(linearizable(&[look.clone(), hold.clone()]).is_err());
        assert_eq!(
            linearizable(&[
                hold,
                Done {
                    asked: 3,
                    answered: 4,
                    ..look
                }
            ]),
            Ok(())
        );
    }
}
