//! Which signs a tenant's pickup codes have, and how a code says where its order is kept. A policy is data: a list of
//! parts, each with its own strategy.
//!
//! A code is drawn: its random part says nothing of how many orders there are, nor of their order. Who issues codes sees
//! to it that no two live orders have one; here is only what a code looks like.

mod shards;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use shards::{NoShard, Owner, Shard, Shards};

use crate::typed;

/// Fewest signs of a code.
pub const FEWEST: usize = 6;
/// Most signs of a code: more is not typed at a counter.
pub const MOST: usize = 20;
/// Fewest signs that look random: fewer are guessed.
const FEWEST_RANDOM: u8 = 4;
/// Most of them.
const MOST_RANDOM: u8 = 12;
const DIGITS: &str = "0123456789";
/// Most of anything that a policy expects.
const MOST_EXPECTED: i64 = 1_000_000_000;
/// Longest time that an order waits or a code rests, days.
const MOST_DAYS: i64 = 366;

/// One part of a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PickupPart {
    /// So many signs that look random.
    Random { signs: u8 },
    /// The shard as two digits, 00 to 99.
    Shard {},
    /// The shard's database as one digit. It goes with [`PickupPart::Table`].
    Database {},
    /// The shard's table as one digit.
    Table {},
    /// Always these signs.
    Fixed { text: String },
    /// The order's own number, of so many signs. It stands alone.
    Number { signs: u8 },
    /// One check sign over all others (Luhn's, modulo the alphabet), so that a slip of the finger is noticed. At the end.
    Check {},
}

/// How a tenant's pickup codes are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PickupPolicy {
    /// From 1; 0 is that of a tenant that set none.
    pub version: i64,
    /// The parts of a code, in their order.
    pub parts: Vec<PickupPart>,
    /// Its signs: the ten digits, then capitals in their order.
    pub alphabet: String,
    /// What orders are spread over.
    pub shards: Shards,
    /// For how many stores there has to be room.
    pub stores: i64,
    /// Orders of one store on a busy day.
    pub orders_a_day: i64,
    /// Days that an order waits at most.
    pub waiting_days: i64,
    /// Days that a code rests before it is used again.
    pub rest_days: i64,
}

impl Default for PickupPolicy {
    /// 8 digits: 6 that look random and 2 of the shard, of which there is one.
    fn default() -> Self {
        Self {
            version: 0,
            parts: vec![PickupPart::Random { signs: 6 }, PickupPart::Shard {}],
            alphabet: DIGITS.to_owned(),
            shards: Shards::default(),
            stores: 100,
            orders_a_day: 50,
            waiting_days: 14,
            rest_days: 30,
        }
    }
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPickupPolicy {
    /// Without it nothing tells two codes apart.
    #[error("a code has exactly one random part, or is the order's number and nothing else")]
    OneRandom,
    /// See [`FEWEST_RANDOM`] and [`MOST_RANDOM`].
    #[error("the random part has 4 to 12 signs")]
    RandomSigns,
    /// See [`FEWEST`] and [`MOST`].
    #[error("a code has 6 to 20 signs, this one has {0}")]
    Length(usize),
    /// Where there is more than one, a code has to say which.
    #[error("a code says its shard once: as two digits, or as one of the database and one of the table")]
    ShardOnce,
    /// Only one shard needs no digits.
    #[error("of several shards a code has to say which one")]
    ShardMissing,
    /// At most ten of each.
    #[error("there are 1 to 10 databases, and 1 to 10 tables in each")]
    Shards,
    /// Signs of the alphabet only.
    #[error("a fixed part has signs of the alphabet only, at least one")]
    FixedText,
    /// At the end, once.
    #[error("the check sign stands at the end, once")]
    CheckLast,
    /// Anything else is typed in two ways.
    #[error("the alphabet is the ten digits and then capital letters from A to Z, each once and in their order")]
    Alphabet,
    /// The desk could not tell one from the other.
    #[error("a code could be {0}")]
    Collides(Other),
    /// Orders would find no code.
    #[error(
        "{stores} stores x {orders_a_day} orders a day x {days} days need {needed} codes, and there are {room} ({shards} shards x {each})"
    )]
    Capacity {
        /// As the policy expects.
        stores: i64,
        /// As the policy expects.
        orders_a_day: i64,
        /// Days waiting and days of rest.
        days: i64,
        /// The product of the three.
        needed: i128,
        /// How many codes there are.
        room: u64,
        /// In so many shards.
        shards: u8,
        /// How many in each.
        each: u64,
    },
    /// They say what there has to be room for.
    #[error("{0} is out of range")]
    Expected(&'static str),
}

impl BadPickupPolicy {
    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::OneRandom | Self::RandomSigns | Self::Length(_) | Self::FixedText | Self::CheckLast => "parts",
            Self::ShardOnce | Self::ShardMissing | Self::Collides(_) => "parts",
            Self::Shards => "shards",
            Self::Alphabet => "alphabet",
            Self::Capacity { .. } => "orders_a_day",
            Self::Expected(field) => field,
        }
    }
}

/// What else at the desk has a form of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
pub enum Other {
    /// 11 digits.
    #[strum(to_string = "a mobile number")]
    Phone,
    /// 12, 13 or 14 digits.
    #[strum(to_string = "the bar code of a product")]
    Gtin,
    /// 16 digits and more.
    #[strum(to_string = "a coupon code")]
    Coupon,
    /// `M` and digits.
    #[strum(to_string = "a member number")]
    Member,
}

/// One place of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Random,
    Number,
    /// The tens, or the units, of the shard's number.
    Tens,
    Units,
    Database,
    Table,
    Fixed(u8),
    Check,
}

impl Place {
    fn says_shard(self) -> bool {
        matches!(self, Self::Tens | Self::Units | Self::Database | Self::Table)
    }
}

/// A code that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCode {
    /// Its one form.
    pub code: String,
    /// Where its order is kept; `None` where the code is the order's number.
    pub shard: Option<Shard>,
}

impl PickupPolicy {
    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<BadPickupPolicy> {
        let mut faults = Vec::new();
        let mut check = |fits: bool, fault: BadPickupPolicy| {
            if !fits {
                faults.push(fault);
            }
        };
        let count = |wanted: fn(&PickupPart) -> bool| self.parts.iter().filter(|part| wanted(part)).count();
        let randoms = count(|part| matches!(part, PickupPart::Random { .. }));
        let numbers = count(|part| matches!(part, PickupPart::Number { .. }));
        let is_number = numbers == 1 && self.parts.len() == 1;
        check(is_number || (randoms == 1 && numbers == 0), BadPickupPolicy::OneRandom);
        check(
            self.parts.iter().all(|part| match part {
                PickupPart::Random { signs } => (FEWEST_RANDOM..=MOST_RANDOM).contains(signs),
                _ => true,
            }),
            BadPickupPolicy::RandomSigns,
        );
        let letters = self.alphabet.strip_prefix(DIGITS);
        let alphabet = letters.is_some_and(|letters| {
            letters.bytes().all(|sign| sign.is_ascii_uppercase())
                && letters.as_bytes().windows(2).all(|pair| pair[0] < pair[1])
        });
        check(alphabet, BadPickupPolicy::Alphabet);
        check(
            self.parts.iter().all(|part| match part {
                PickupPart::Fixed { text } => !text.is_empty() && text.chars().all(|sign| self.alphabet.contains(sign)),
                _ => true,
            }),
            BadPickupPolicy::FixedText,
        );
        let checks = count(|part| *part == PickupPart::Check {});
        check(
            checks == 0 || (checks == 1 && self.parts.last() == Some(&PickupPart::Check {})),
            BadPickupPolicy::CheckLast,
        );
        check(self.shards.is_sound(), BadPickupPolicy::Shards);
        let says = (
            count(|part| *part == PickupPart::Shard {}),
            count(|part| *part == PickupPart::Database {}),
            count(|part| *part == PickupPart::Table {}),
        );
        check(
            matches!(says, (0, 0, 0) | (1, 0, 0) | (0, 1, 1)),
            BadPickupPolicy::ShardOnce,
        );
        check(
            says != (0, 0, 0) || is_number || self.shards.count() <= 1,
            BadPickupPolicy::ShardMissing,
        );
        let length = self.length();
        check((FEWEST..=MOST).contains(&length), BadPickupPolicy::Length(length));
        let expected = [
            ("stores", self.stores, MOST_EXPECTED),
            ("orders_a_day", self.orders_a_day, MOST_EXPECTED),
            ("waiting_days", self.waiting_days, MOST_DAYS),
            ("rest_days", self.rest_days, MOST_DAYS),
        ];
        for (field, value, most) in expected {
            check((1..=most).contains(&value), BadPickupPolicy::Expected(field));
        }
        if !faults.is_empty() {
            // What follows would only repeat it.
            return faults;
        }
        faults.extend(self.collisions().into_iter().map(BadPickupPolicy::Collides));
        let days = self.waiting_days + self.rest_days;
        let needed = i128::from(self.stores) * i128::from(self.orders_a_day) * i128::from(days);
        let (each, shards) = (self.room(), self.shards.count());
        let room = each.saturating_mul(u64::from(shards));
        if !is_number && needed > i128::from(room) {
            faults.push(BadPickupPolicy::Capacity {
                stores: self.stores,
                orders_a_day: self.orders_a_day,
                days,
                needed,
                room,
                shards,
                each,
            });
        }
        faults
    }

    /// How many signs its codes have.
    pub fn length(&self) -> usize {
        self.parts.iter().map(PickupPart::length).sum()
    }

    /// How many codes there are in one shard.
    pub fn room(&self) -> u64 {
        let random = self.parts.iter().find_map(|part| match part {
            PickupPart::Random { signs } | PickupPart::Number { signs } => Some(u32::from(*signs)),
            _ => None,
        });
        random.map_or(1, |signs| (self.alphabet.len() as u64).saturating_pow(signs))
    }

    /// A draw from the system's randomness, brought within the room. Of 64 bits the largest room, 36^12, takes less than a
    /// third, so the first codes are drawn at most half as often again as the last; with digits alone the difference is
    /// below 0.00001 %.
    pub fn draw(&self, random: u64) -> u64 {
        random % self.room().max(1)
    }

    /// Whether its codes are the numbers of their orders.
    pub fn is_number(&self) -> bool {
        matches!(self.parts[..], [PickupPart::Number { .. }])
    }

    /// Whether a code may be eight digits, as the bar code of a small product is: the desk then asks what is meant, unless
    /// it knows from which symbol it was read.
    pub fn is_like_ean8(&self) -> bool {
        self.length() == 8 && self.could_be(|_, sign| sign.is_ascii_digit())
    }

    /// The code with this random part in this shard. Of codes of one shard the larger `draw` is the larger text. Where codes
    /// are the numbers of their orders, one for an order whose number has not the form of a code.
    ///
    /// `None` where there is no such shard, or not so many codes.
    pub fn code(&self, shard: Shard, draw: u64) -> Option<String> {
        if draw >= self.room() || shard.byte() >= self.shards.count() {
            return None;
        }
        let (database, table) = self.shards.place(shard);
        let alphabet = self.alphabet.as_bytes();
        let mut draw = draw;
        let mut code = vec![0; self.length()];
        // From the right, as the last sign of the random part is the lowest.
        for (place, at) in self.places().iter().zip(code.iter_mut()).rev() {
            *at = match place {
                Place::Random | Place::Number => {
                    let base = alphabet.len() as u64;
                    let value = usize::try_from(draw % base).ok()?;
                    draw /= base;
                    *alphabet.get(value)?
                }
                Place::Tens => b'0' + shard.byte() / 10,
                Place::Units => b'0' + shard.byte() % 10,
                Place::Database => b'0' + database,
                Place::Table => b'0' + table,
                Place::Fixed(sign) => *sign,
                Place::Check => continue,
            };
        }
        if self.parts.last() == Some(&PickupPart::Check {}) {
            let (check, others) = code.split_last_mut()?;
            *check = self.check_sign(others)?;
        }
        String::from_utf8(code).ok()
    }

    /// The code of an order with this number, where codes are numbers; `None` where they are not, or where it has not the
    /// form of one.
    pub fn code_of_number(&self, number: &str) -> Option<String> {
        if !self.is_number() {
            return None;
        }
        self.read(number).map(|read| read.code)
    }

    /// What a text says as a code: where its order is kept. `None` = it is none of this policy's, and nobody has to be
    /// asked for it.
    pub fn read(&self, text: &str) -> Option<ReadCode> {
        let code = typed::pickup_code(text)?;
        let places = self.places();
        let signs = code.as_bytes();
        if signs.len() != places.len() {
            return None;
        }
        let [mut flat, mut database, mut table] = [None::<u8>; 3];
        for (place, sign) in places.iter().zip(signs) {
            if !self.alphabet.as_bytes().contains(sign) {
                return None;
            }
            let digit = || sign.is_ascii_digit().then(|| sign - b'0');
            match place {
                Place::Random | Place::Number | Place::Check => {}
                Place::Fixed(wanted) if wanted != sign => return None,
                Place::Fixed(_) => {}
                Place::Tens => flat = Some(digit()? * 10),
                Place::Units => flat = Some(flat? + digit()?),
                Place::Database => database = Some(digit()?),
                Place::Table => table = Some(digit()?),
            }
        }
        if places.last() == Some(&Place::Check) {
            let (check, others) = signs.split_last()?;
            if self.check_sign(others)? != *check {
                return None;
            }
        }
        let shard = match (flat, database, table) {
            (Some(flat), _, _) => Some(self.shards.flat(flat)?),
            (None, Some(database), Some(table)) => Some(self.shards.at(database, table)?),
            _ if self.is_number() => None,
            _ => Some(Shard::ZERO),
        };
        Some(ReadCode { code, shard })
    }

    /// A text that is a code of both policies and leads to another shard, database or table by the other one; `None` where
    /// there is none, and both may be used side by side.
    pub fn conflict(&self, other: &Self) -> Option<String> {
        if self.length() != other.length() {
            return None;
        }
        let (mine, theirs) = (self.places(), other.places());
        // Both are told apart by the places that say a shard, ten digits each: all others may be anything that both allow.
        let says: Vec<usize> = (0..mine.len())
            .filter(|at| mine[*at].says_shard() || theirs[*at].says_shard())
            .collect();
        let mut text = Vec::with_capacity(mine.len());
        for (at, (mine, theirs)) in mine.iter().zip(&theirs).enumerate() {
            let common = |sign: &u8| {
                self.allows(*mine, *sign)
                    && other.allows(*theirs, *sign)
                    && (!says.contains(&at) || sign.is_ascii_digit())
            };
            text.push(self.alphabet.bytes().find(common)?);
        }
        let many = 10_u32.saturating_pow(u32::try_from(says.len()).unwrap_or(u32::MAX));
        (0..many).find_map(|number| {
            let mut left = number;
            for at in &says {
                text[*at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
                left /= 10;
            }
            let fits = |policy: &Self, places: &[Place]| {
                let mut shared = places.iter().zip(&text);
                shared.all(|(place, sign)| policy.allows(*place, *sign))
            };
            if !fits(self, &mine) || !fits(other, &theirs) {
                return None;
            }
            let places = (self.shard_at(&text), other.shard_at(&text));
            let apart = match places {
                // Rows are kept by the number, and databases are told apart by the place: both have to stay.
                (Led::To(mine, place), Led::To(theirs, other)) => (mine, place) != (theirs, other),
                (Led::Nowhere, _) | (_, Led::Nowhere) => false,
                (Led::ByNumber, Led::ByNumber) => false,
                (Led::ByNumber, Led::To(..)) | (Led::To(..), Led::ByNumber) => true,
            };
            apart.then(|| String::from_utf8_lossy(&text).into_owned())
        })
    }

    /// What its codes could be taken for.
    pub fn collisions(&self) -> Vec<Other> {
        let digit = |_: usize, sign: u8| sign.is_ascii_digit();
        let mobile = |skip: usize| {
            move |at: usize, sign: u8| match at.checked_sub(skip) {
                None => sign == b"0086"[at],
                Some(0) => sign == b'1',
                Some(1) => (b'3'..=b'9').contains(&sign),
                Some(_) => sign.is_ascii_digit(),
            }
        };
        let member = |at: usize, sign: u8| if at == 0 { sign == b'M' } else { sign.is_ascii_digit() };
        let length = self.length();
        let mut found = Vec::new();
        let mut collides = |other, is: bool| {
            if is {
                found.push(other);
            }
        };
        collides(
            Other::Phone,
            (length == 11 && self.could_be(mobile(0))) || (length == 15 && self.could_be(mobile(4))),
        );
        collides(Other::Gtin, (12..=14).contains(&length) && self.could_be(digit));
        collides(
            Other::Coupon,
            length >= crate::code_policy::FEWEST && self.could_be(digit),
        );
        collides(Other::Member, self.could_be(member));
        found
    }

    /// Whether some code has such a sign at every place.
    fn could_be(&self, wanted: impl Fn(usize, u8) -> bool) -> bool {
        self.places().iter().enumerate().all(|(at, place)| {
            let mut signs = self.alphabet.bytes();
            signs.any(|sign| self.allows(*place, sign) && wanted(at, sign))
        })
    }

    /// Whether a code may have this sign there, whatever its others are.
    fn allows(&self, place: Place, sign: u8) -> bool {
        let below = |most: u8| sign.is_ascii_digit() && sign - b'0' < most;
        match place {
            Place::Random | Place::Number | Place::Check => self.alphabet.as_bytes().contains(&sign),
            Place::Tens => below(self.shards.count().div_ceil(10)),
            Place::Units => below(self.shards.count().min(10)),
            Place::Database => below(self.shards.databases),
            Place::Table => below(self.shards.tables),
            Place::Fixed(fixed) => fixed == sign,
        }
    }

    /// Database and table that a text of the right form leads to, whatever its check sign says.
    fn shard_at(&self, text: &[u8]) -> Led {
        if self.is_number() {
            return Led::ByNumber;
        }
        let digit = |wanted: Place| {
            let at = self.places().iter().position(|place| *place == wanted)?;
            text.get(at)
                .filter(|sign| sign.is_ascii_digit())
                .map(|sign| sign - b'0')
        };
        let shard = if let (Some(tens), Some(units)) = (digit(Place::Tens), digit(Place::Units)) {
            self.shards.flat(tens * 10 + units)
        } else if let (Some(database), Some(table)) = (digit(Place::Database), digit(Place::Table)) {
            self.shards.at(database, table)
        } else {
            Some(Shard::ZERO)
        };
        shard.map_or(Led::Nowhere, |shard| Led::To(shard, self.shards.place(shard)))
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for part in &self.parts {
            match part {
                PickupPart::Random { signs } => places.extend((0..*signs).map(|_| Place::Random)),
                PickupPart::Number { signs } => places.extend((0..*signs).map(|_| Place::Number)),
                PickupPart::Shard {} => places.extend([Place::Tens, Place::Units]),
                PickupPart::Database {} => places.push(Place::Database),
                PickupPart::Table {} => places.push(Place::Table),
                PickupPart::Fixed { text } => places.extend(text.bytes().map(Place::Fixed)),
                PickupPart::Check {} => places.push(Place::Check),
            }
        }
        places
    }

    /// Luhn's check sign, modulo the alphabet (ISO/IEC 7812-1, annex B, for ten signs).
    fn check_sign(&self, signs: &[u8]) -> Option<u8> {
        let alphabet = self.alphabet.as_bytes();
        let base = alphabet.len();
        let mut sum = 0;
        for (place, sign) in signs.iter().rev().enumerate() {
            let value = alphabet.iter().position(|known| known == sign)?;
            let value = if place % 2 == 0 { value * 2 } else { value };
            sum += value / base + value % base;
        }
        alphabet.get((base - sum % base) % base).copied()
    }
}

/// Where a text leads.
enum Led {
    /// To this database and table, which are one shard.
    To(Shard, (u8, u8)),
    /// By the map of numbers.
    ByNumber,
    /// It is no code.
    Nowhere,
}

impl PickupPart {
    fn length(&self) -> usize {
        match self {
            Self::Random { signs } | Self::Number { signs } => usize::from(*signs),
            Self::Shard {} => 2,
            Self::Database {} | Self::Table {} | Self::Check {} => 1,
            Self::Fixed { text } => text.len(),
        }
    }
}

/// What a text says under several policies, of which the newest stands first: what was issued under an earlier one lives
/// on. No two of them lead one text to two places, see [`PickupPolicy::conflict`].
pub fn read(policies: &[PickupPolicy], text: &str) -> Option<ReadCode> {
    policies.iter().find_map(|policy| policy.read(text))
}
