//! Rows of a file beside each other and beside the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::TenantId,
    products::{Product, barcode, folded},
};
use sqlx::AnyConnection;
use uuid::Uuid;

use super::{RowError, row::Entry};
use crate::{
    db::DbError,
    products::{fresh_flaws, rows, word},
};

/// What of the catalogue a file is compared with.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Products that rows name, or whose sku is a barcode of one, by their sku.
    pub products: BTreeMap<String, (Uuid, Product)>,
    /// Which product has a barcode, by its form: only those of rows.
    holders: BTreeMap<String, Uuid>,
    /// Skus of the holders and of the other products.
    skus: BTreeMap<Uuid, String>,
    /// Skus that fold alike.
    folded: BTreeMap<String, Vec<String>>,
}

impl Catalogue {
    /// Loads what the rows are about.
    ///
    /// # Errors
    /// The driver's.
    pub async fn load(connection: &mut AnyConnection, tenant: TenantId, entries: &[Entry]) -> Result<Self, DbError> {
        let mut forms: BTreeSet<String> = entries.iter().flat_map(Entry::forms).collect();
        let mut skus: BTreeSet<&str> = entries
            .iter()
            .flat_map(|entry| [entry.sku.as_str(), entry.typed.as_str()])
            .collect();
        let longer: Vec<String> = entries.iter().flat_map(|entry| with_zeros(&entry.sku)).collect();
        skus.extend(longer.iter().map(String::as_str));
        skus.extend(forms.iter().flat_map(|form| barcode::spellings(form)));
        let skus: Vec<&str> = skus.into_iter().collect();
        let found = rows::by_sku(connection, tenant, &skus).await?;
        let products: BTreeMap<String, (Uuid, Product)> = found
            .into_iter()
            .map(|(id, product)| (product.sku.clone(), (id, product)))
            .collect();
        forms.extend(entries.iter().map(|entry| barcode::form(&entry.sku)));
        let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
        let holders = rows::holders(connection, tenant, &forms).await?;
        let known: BTreeSet<Uuid> = products.values().map(|(id, _)| *id).collect();
        let others: BTreeSet<Uuid> = holders.values().copied().filter(|id| !known.contains(id)).collect();
        let others: Vec<Uuid> = others.into_iter().collect();
        let others = rows::load(connection, tenant, &others).await?;
        let folds: Vec<String> = entries.iter().map(|entry| folded(&entry.sku)).collect();
        let folds: Vec<&str> = folds.iter().map(String::as_str).collect();
        let all = others.iter().chain(products.values());
        Ok(Self {
            skus: all.map(|(id, product)| (*id, product.sku.clone())).collect(),
            products,
            holders,
            folded: rows::by_folded_sku(connection, tenant, &folds).await?,
        })
    }

    /// The product that a row is about. One that was stored with something invisible in its sku is named so.
    pub fn of(&self, entry: &Entry) -> Option<&(Uuid, Product)> {
        self.products
            .get(&entry.typed)
            .or_else(|| self.products.get(&entry.sku))
    }
}

/// Skus of which a spreadsheet makes this one.
fn with_zeros(sku: &str) -> impl Iterator<Item = String> {
    let zeros: &[&str] = if !sku.is_empty() && sku.bytes().all(|byte| byte.is_ascii_digit()) {
        &["0", "00"]
    } else {
        &[]
    };
    zeros.iter().map(move |zeros| format!("{zeros}{sku}"))
}

/// A row that reads, and what would become of its product.
#[derive(Debug)]
pub struct Plan {
    /// Line of the file.
    pub line: u64,
    /// The product as it is.
    pub before: Option<(Uuid, Product)>,
    /// As it will be.
    pub after: Product,
    /// Its barcodes as they are written, by their form.
    written: BTreeMap<String, String>,
    /// Forms of barcodes that the product did not have before.
    fresh: BTreeSet<String>,
}

impl Plan {
    fn new(line: u64, before: Option<(Uuid, Product)>, after: Product) -> Self {
        let mut written = BTreeMap::new();
        for code in &after.barcodes {
            written.entry(barcode::form(code)).or_insert_with(|| code.clone());
        }
        let known = before.as_ref().map(|(_, before)| before.forms()).unwrap_or_default();
        let fresh = written.keys().filter(|form| !known.contains(form)).cloned().collect();
        Self {
            line,
            before,
            after,
            written,
            fresh,
        }
    }
}

/// What is wrong with the rows of a file, and what is worth a look.
#[derive(Debug, Default)]
pub struct Judged {
    /// Those that read.
    pub plans: Vec<Plan>,
    /// What is wrong.
    pub errors: Vec<RowError>,
    /// What is not.
    pub warnings: Vec<RowError>,
}

/// Judges the rows of a file.
pub fn judge(entries: &[Entry], catalogue: &Catalogue, currency: &str) -> Judged {
    let mut judged = Judged::default();
    let mut skus: BTreeMap<String, u64> = BTreeMap::new();
    for entry in entries {
        let before = catalogue.of(entry).cloned();
        let known = before.as_ref().map(|(_, before)| before);
        judged.warnings.extend(entry.pointed_out(known));
        let after = match entry.product(known, currency) {
            Ok(product) => product,
            Err(mut errors) => {
                judged.errors.append(&mut errors);
                continue;
            }
        };
        let flaws = fresh_flaws(&after, known);
        // What breaks a rule is not compared: a row may name thousands of barcodes.
        let sound = flaws.is_empty();
        for flaw in flaws {
            let error = RowError::new(entry.line, &word(flaw), flaw.to_string());
            judged.errors.push(error);
        }
        if let Some(line) = skus.get(&after.sku) {
            let message = format!("{} stands in the file twice, first in line {line}", after.sku);
            judged.errors.push(RowError::new(entry.line, "repeated_sku", message));
            continue;
        }
        skus.insert(after.sku.clone(), entry.line);
        if sound {
            judged.plans.push(Plan::new(entry.line, before, after));
        }
    }
    let clashes = clashes(&judged.plans, catalogue);
    judged.errors.extend(clashes);
    let twins = twins(&judged.plans, catalogue);
    judged.warnings.extend(twins);
    judged
}

/// One number for two products, as a barcode of both or as the sku of one of them: a scan would not say which.
fn clashes(plans: &[Plan], catalogue: &Catalogue) -> Vec<RowError> {
    let mut errors = Vec::new();
    let mut holders: BTreeMap<&str, &Plan> = BTreeMap::new();
    let named: BTreeMap<Uuid, &Plan> = plans
        .iter()
        .filter_map(|plan| Some((plan.before.as_ref()?.0, plan)))
        .collect();
    // Who of the catalogue keeps a barcode when all of the file is applied.
    let keeper = |form: &str, but: &Plan| {
        let id = catalogue.holders.get(form)?;
        match named.get(id) {
            Some(plan) if std::ptr::eq(*plan, but) || !plan.written.contains_key(form) => None,
            Some(plan) => Some(plan.after.sku.clone()),
            None => catalogue.skus.get(id).cloned(),
        }
    };
    for plan in plans {
        for (form, written) in &plan.written {
            let other = match holders.get(form.as_str()) {
                Some(other) if plan.fresh.contains(form) || other.fresh.contains(form) => {
                    Some(format!("{} (line {})", other.after.sku, other.line))
                }
                Some(_) => None,
                None if plan.fresh.contains(form) => keeper(form, plan),
                None => None,
            };
            match other {
                Some(other) => {
                    let message = format!("{written} is the barcode of {other}");
                    errors.push(RowError::new(plan.line, "barcode_taken", message));
                }
                None => {
                    holders.entry(form).or_insert(plan);
                }
            }
        }
    }
    // Several skus may be spellings of one number.
    let mut new: BTreeMap<String, Vec<&Plan>> = BTreeMap::new();
    for plan in plans.iter().filter(|plan| plan.before.is_none()) {
        new.entry(barcode::form(&plan.after.sku)).or_default().push(plan);
    }
    for plan in plans {
        for form in &plan.fresh {
            let written = &plan.written[form];
            let here = new
                .get(form)
                .and_then(|named| named.iter().find(|other| !std::ptr::eq(**other, plan)));
            let there = || {
                let mut spellings = barcode::spellings(form).into_iter();
                spellings
                    .find_map(|sku| catalogue.products.get(sku))
                    .map(|(_, other)| other)
            };
            let other = match here {
                Some(other) => Some(format!("{} (line {})", other.after.sku, other.line)),
                None => there()
                    .filter(|other| other.sku != plan.after.sku)
                    .map(|other| other.sku.clone()),
            };
            if let Some(other) = other {
                let message = format!("{written} is the sku of another product, {other}");
                errors.push(RowError::new(plan.line, "barcode_is_sku", message));
            }
        }
        if plan.before.is_none()
            && let Some(other) = keeper(&barcode::form(&plan.after.sku), plan)
        {
            let message = format!("{} is the barcode of another product, {other}", plan.after.sku);
            errors.push(RowError::new(plan.line, "sku_is_barcode", message));
        }
    }
    errors
}

/// New products whose sku only differs from another by case and the like: each is found by its own exactly. And those
/// that may be meant to be another.
fn twins(plans: &[Plan], catalogue: &Catalogue) -> Vec<RowError> {
    let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (folded, skus) in &catalogue.folded {
        seen.insert(folded.clone(), skus.iter().map(String::as_str).collect());
    }
    let mut warnings = Vec::new();
    for plan in plans.iter().filter(|plan| plan.before.is_none()) {
        if let Some(whole) = with_zeros(&plan.after.sku).find(|sku| catalogue.products.contains_key(sku)) {
            let message = format!(
                "{} is new, but there is {whole}; a spreadsheet takes such zeros away",
                plan.after.sku
            );
            warnings.push(RowError::new(plan.line, "lost_zero", message));
        }
        let alike = seen.entry(folded(&plan.after.sku)).or_default();
        if let Some(other) = alike.first() {
            let message = format!("{} and {other} differ by case or the like only", plan.after.sku);
            warnings.push(RowError::new(plan.line, "alike_sku", message));
        }
        alike.push(&plan.after.sku);
    }
    warnings
}
