//! Rules, scopes and stackings as JSON by themselves, as templates hold them: the contract's form, written here and read
//! by the reader of documents, so that there is one idea of what is allowed.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::Error as _,
    ser::{Error as _, SerializeMap},
};

use super::{
    InputError, document,
    input::{Rule, Scope, Stacking},
    json::{At, Json},
};

fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(At<'_>) -> Result<T, InputError>,
) -> Result<T, D::Error> {
    let json = Json::deserialize(deserializer)?;
    read(At::root(&json)).map_err(D::Error::custom)
}

fn rule(at: At<'_>) -> Result<Rule, InputError> {
    let rule = document::rule(at)?;
    rule.check(|field| format!("$.{field}"))?;
    Ok(rule)
}

impl Rule {
    /// Reads the contract's form by itself.
    ///
    /// # Errors
    /// The first thing found wrong, with its place.
    pub fn from_json(text: &str) -> Result<Self, InputError> {
        rule(At::root(&Json::parse(text.as_bytes())?))
    }
}

impl Scope {
    /// Reads the contract's form by itself.
    ///
    /// # Errors
    /// The first thing found wrong, with its place.
    pub fn from_json(text: &str) -> Result<Self, InputError> {
        document::scope(At::root(&Json::parse(text.as_bytes())?))
    }
}

impl Stacking {
    /// Reads the contract's form by itself.
    ///
    /// # Errors
    /// The first thing found wrong, with its place.
    pub fn from_json(text: &str) -> Result<Self, InputError> {
        document::stacking(At::root(&Json::parse(text.as_bytes())?))
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, rule)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, document::scope)
    }
}

impl<'de> Deserialize<'de> for Stacking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, document::stacking)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.only {
            None => map.serialize_entry("all", &true)?,
            Some(only) => {
                let lists = [
                    ("merchants", &only.merchants),
                    ("categories", &only.categories),
                    ("skus", &only.skus),
                ];
                // Lists that match nothing still say that not every line is meant.
                let nothing = lists.iter().all(|(_, list)| list.is_empty());
                for (name, list) in lists {
                    if nothing || !list.is_empty() {
                        map.serialize_entry(name, list)?;
                    }
                }
            }
        }
        if !self.except_skus.is_empty() {
            map.serialize_entry("except_skus", &self.except_skus)?;
        }
        map.end()
    }
}

impl Serialize for Stacking {
    /// The group that a coupon has by default has no form of its own: leave the field out, or say
    /// [`Stacking::named`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Exclusive => map.serialize_entry("exclusive", &true)?,
            Self::Group(Some(group)) => map.serialize_entry("group", group)?,
            Self::Group(None) => return Err(S::Error::custom("the default group has no name by itself")),
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::{
        super::{Basis, Kind},
        *,
    };

    fn there_and_back<T: Serialize + for<'de> Deserialize<'de>>(value: Value) {
        let read: T = from_value(value.clone()).unwrap();
        assert_eq!(to_value(read).unwrap(), value);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for rule in [
            json!({"kind": "threshold_off", "threshold": 10_000, "amount": 2_000}),
            json!({"kind": "threshold_off", "threshold": 1, "amount": 0, "threshold_basis": "list", "min_quantity": 2}),
            json!({"kind": "every_off", "threshold": 5_000, "amount": 500, "max_times": 4}),
            json!({"kind": "percent_off", "percent_bp": 1_500, "max_discount": 3_000, "threshold": 5}),
            json!({"kind": "amount_off", "amount": 1_000}),
            json!({"kind": "item_voucher", "sku": "A", "quantity": 1}),
        ] {
            there_and_back::<Rule>(rule);
        }
        for scope in [
            json!({"all": true}),
            json!({"all": true, "except_skus": ["A"]}),
            json!({"categories": ["hair"], "skus": ["B"]}),
            json!({"merchants": [], "categories": [], "skus": []}),
        ] {
            there_and_back::<Scope>(scope);
        }
        there_and_back::<Stacking>(json!({"exclusive": true}));
        there_and_back::<Stacking>(json!({"group": "g"}));
    }

    #[test]
    fn what_the_contract_refuses_is_refused_here_too() {
        for rule in [
            json!({"kind": "amount_off", "amount": -1}),
            json!({"kind": "amount_off", "amount": 1, "bonus": 1}),
            json!({"kind": "every_off", "threshold": 0, "amount": 1}),
            json!({"kind": "gift"}),
        ] {
            from_value::<Rule>(rule).unwrap_err();
        }
        from_value::<Scope>(json!({})).unwrap_err();
        from_value::<Scope>(json!({"all": false})).unwrap_err();
        from_value::<Stacking>(json!({})).unwrap_err();
        to_value(Stacking::default()).unwrap_err();
        let kind = Kind::EveryOff {
            threshold: 1,
            amount: 1,
            max_times: None,
            basis: Basis::Net,
        };
        assert_eq!(
            to_value(Stacking::default().named(&kind)).unwrap(),
            json!({"group": "threshold_off"})
        );
    }
}
