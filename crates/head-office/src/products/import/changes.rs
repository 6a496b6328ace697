//! What a file changes, in the words of a file.

use counterfoil_domain::products::Product;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use counterfoil_domain::money::{in_decimals, minor_digits};

/// A field that would change. Its values are as they would stand in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Name of the column.
    pub field: String,
    /// What it is; none when there is nothing.
    pub from: Option<String>,
    /// What it would be; none when it would be emptied.
    pub to: Option<String>,
}

/// The fields in which the two differ; all that a new product has.
pub fn between(before: Option<&Product>, after: &Product) -> Vec<Change> {
    let same_codes = before.is_some_and(|before| before.forms() == after.forms());
    let was = before.map(values);
    values(after)
        .into_iter()
        .enumerate()
        .filter_map(|(place, (field, to))| {
            let from = was.as_ref().and_then(|was| was[place].1.clone());
            let same = from == to || (field == "barcodes" && same_codes);
            (!same).then(|| Change {
                field: field.to_owned(),
                from,
                to,
            })
        })
        .collect()
}

fn values(product: &Product) -> [(&'static str, Option<String>); 9] {
    let price = in_decimals(product.unit_price, minor_digits(&product.currency));
    let some = |text: String| (!text.is_empty()).then_some(text);
    [
        ("barcodes", some(product.barcodes.join(" "))),
        ("name_zh", some(product.name_zh.clone())),
        ("name_en", some(product.name_en.clone())),
        ("category", product.category.clone()),
        ("merchant", product.merchant.clone()),
        ("price", Some(price)),
        ("currency", some(product.currency.clone())),
        ("picture", product.picture.clone()),
        ("active", Some(i32::from(product.active).to_string())),
    ]
}
