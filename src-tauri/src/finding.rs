//! What a text at the desk is: a code, a member, goods.

use counterfoil_counter::{Counter, Input, MemberAnswer, Thing};
use counterfoil_domain::products::{By, Meant, Product};
use counterfoil_domain::scans::without_aim;
use counterfoil_scan::{self as scan, Format, PickupForms, classify, classify_with};

use crate::codes::Nobody;
use crate::problem::Result;
use crate::shell::Shell;
use crate::view::{Found, Source};

/// Goods that a name may mean; more would not be read.
const MOST_PRODUCTS: usize = 30;
/// Of a phone number; `classify` knows only those of mainland China.
const PHONE_DIGITS: usize = 11;
/// Fewer are nobody's number.
const LEAST_DIGITS: usize = 6;

/// What the form of a text says it is.
pub async fn form_of(shell: &Shell, counter: &Counter, text: &str, source: Source) -> Result<scan::Scanned> {
    let source = match source {
        Source::Typed => scan::Source::Typed,
        Source::Pasted => scan::Source::Pasted,
        Source::Scanned => scan::Source::Scanned,
        // Eight digits may be a product or an order; the kind of symbol tells.
        Source::Camera => scan::Source::Symbol(shell.symbol_of(text).map_or(Format::QrCode, |symbol| symbol.format)),
    };
    let forms = PickupForms::new(counter.pickup_policies().await?);
    Ok(classify_with(&forms, text, source))
}

/// The same, for what a coupon was scanned or typed as.
pub fn coupon_of(text: &str) -> Input {
    match classify(text, scan::Source::Pasted) {
        scan::Scanned::Coupon(code) => Input::CouponCode(code),
        scan::Scanned::Token(token) => Input::Token(token),
        _ => Input::Other(text.to_owned()),
    }
}

/// Finds it, wherever it is. What is the barcode of a product is that product, whatever else its form may be.
pub async fn find(counter: &Counter, text: &str, form: scan::Scanned, source: Source) -> Result<Found> {
    if let Some(barcode) = possible_barcode(&form, source)
        && let Some(meant) = counter.product_named(barcode).await?
        && meant.by == By::Barcode
    {
        return Ok(goods(&meant));
    }
    // A chain's own codes may look like a sku; nothing is asked of head office then, and nothing counts as a guess.
    if let scan::Scanned::Pickup(code) = &form
        && !is_eight_digits(code)
        && let Some(meant) = counter.product_named(text.trim()).await?
    {
        return Ok(goods(&meant));
    }
    match form {
        scan::Scanned::Coupon(code) => verdict(counter, Input::CouponCode(code)).await,
        scan::Scanned::Pickup(code) => verdict(counter, Input::PickupCode(code)).await,
        scan::Scanned::Token(token) => {
            let scanned = Input::Token(token);
            let shown = counter.look_up(&scanned, None).await?;
            if matches!(shown.subject, Thing::Member { .. }) {
                return member(counter, scanned).await;
            }
            Ok((&shown).into())
        }
        scan::Scanned::Member(number) => somebody(counter, Input::MemberNumber(number)).await,
        scan::Scanned::Phone(phone) => somebody(counter, Input::Phone(phone)).await,
        scan::Scanned::Product(barcode) => match counter.product_named(&barcode).await? {
            Some(meant) => Ok(goods(&meant)),
            // Of twelve digits one in ten has the check digit of a product by chance.
            None => digits(counter, barcode.strip_prefix('0').unwrap_or(&barcode)).await,
        },
        scan::Scanned::Unknown(text) => named(counter, text).await,
        scan::Scanned::Enrolment(text) => verdict(counter, Input::Other(text)).await,
    }
}

fn is_eight_digits(code: &str) -> bool {
    code.len() == 8 && code.bytes().all(|sign| sign.is_ascii_digit())
}

/// The text, where it may be the barcode of a product although its form is that of something else.
fn possible_barcode(form: &scan::Scanned, source: Source) -> Option<&str> {
    let read = matches!(source, Source::Scanned | Source::Camera);
    match form {
        scan::Scanned::Product(text)
        | scan::Scanned::Coupon(text)
        | scan::Scanned::Member(text)
        | scan::Scanned::Unknown(text) => Some(text.as_str()),
        // Who types eleven digits means a person.
        scan::Scanned::Phone(text) => read.then_some(text.as_str()),
        // A scanner does not say whether its eight digits were an EAN-8; a picture does.
        scan::Scanned::Pickup(text) => (source == Source::Scanned && scan::is_gtin(text)).then_some(text.as_str()),
        scan::Scanned::Token(_) | scan::Scanned::Enrolment(_) => None,
    }
}

/// The one product that a text is the barcode or the sku of. Nobody is looked for, so nothing counts as a guess.
pub async fn product_of(counter: &Counter, text: &str) -> Result<Option<Product>> {
    if let scan::Scanned::Product(barcode) = classify(text, scan::Source::Scanned)
        && let Some(meant) = counter.product_named(&barcode).await?
    {
        return Ok(meant.only().cloned());
    }
    let (_, bare) = without_aim(text.trim());
    let meant = counter.product_named(bare).await?;
    Ok(meant.and_then(|meant| meant.only().cloned()))
}

async fn verdict(counter: &Counter, scanned: Input) -> Result<Found> {
    Ok((&counter.look_up(&scanned, None).await?).into())
}

async fn member(counter: &Counter, scanned: Input) -> Result<Found> {
    Ok(match counter.find_member(&scanned).await? {
        MemberAnswer::Found(card) => Found::Member {
            card: Box::new(card.as_ref().into()),
        },
        MemberAnswer::Unknown(shown) => shown.as_ref().into(),
    })
}

/// A number that is nobody's is no unknown code: it was a person's number that was asked for.
async fn somebody(counter: &Counter, scanned: Input) -> Result<Found> {
    let mut found = member(counter, scanned).await?;
    if let Found::Verdict { verdict } = &mut found {
        for reason in &mut verdict.reasons {
            reason.code = match reason.code.as_str() {
                "unknown_code" => <&str>::from(Nobody::UnknownMember).to_owned(),
                "unknown_offline" => <&str>::from(Nobody::UnknownMemberOffline).to_owned(),
                _ => continue,
            };
        }
    }
    Ok(found)
}

/// One product is beyond doubt; of several one has to be chosen.
fn goods(meant: &Meant) -> Found {
    Found::Products {
        products: meant.products.iter().map(Into::into).collect(),
        exact: meant.only().is_some(),
    }
}

/// A member's number or phone number; whoever is not found by it is said to be unknown.
async fn digits(counter: &Counter, digits: &str) -> Result<Found> {
    let digits = digits.to_owned();
    let scanned = match digits.len() {
        PHONE_DIGITS => return somebody(counter, Input::Phone(digits)).await,
        _ => Input::MemberNumber(digits),
    };
    member(counter, scanned).await
}

async fn named(counter: &Counter, text: String) -> Result<Found> {
    if let Some(meant) = counter.product_named(&text).await? {
        return Ok(goods(&meant));
    }
    let products = counter.find_products(&text, MOST_PRODUCTS).await?;
    match products.as_slice() {
        [] if text.len() >= LEAST_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits(counter, &text).await
        }
        [] => verdict(counter, Input::Other(text)).await,
        found => Ok(Found::Products {
            products: found.iter().map(Into::into).collect(),
            exact: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::products::meant;

    use super::*;

    fn form(text: &str, source: scan::Source) -> scan::Scanned {
        classify(text, source)
    }

    #[test]
    fn a_barcode_may_have_the_form_of_something_else() {
        for text in [
            "S001",
            "6901234567892",
            "036000291452",
            "100120260712345678",
            "M00012345",
            "13800138000",
            "96385074",
        ] {
            let scanned = form(text, scan::Source::Scanned);
            assert!(possible_barcode(&scanned, Source::Scanned).is_some(), "{text}");
        }
        // Who types these means a person, or an order.
        for text in ["13800138000", "96385074"] {
            let typed = form(text, scan::Source::Typed);
            assert_eq!(possible_barcode(&typed, Source::Typed), None, "{text}");
        }
        for text in ["CF1:ABC234", "CFENROL:https://hq.example/a#K7", "40718826"] {
            let scanned = form(text, scan::Source::Scanned);
            assert_eq!(possible_barcode(&scanned, Source::Scanned), None, "{text}");
        }
    }

    #[test]
    fn one_product_is_exact_and_of_several_one_is_chosen() {
        let product = |sku: &str| Product {
            sku: sku.into(),
            barcodes: Vec::new(),
            name_zh: "茶".into(),
            name_en: "Tea".into(),
            category: None,
            merchant: None,
            unit_price: 100,
            currency: "CNY".into(),
            picture: None,
            active: true,
            version: 1,
        };
        let all = [product("abc-1"), product("ABC-1")];
        for (text, sure) in [("abc-1", true), ("Abc-1", false)] {
            let found = goods(&meant(text, &all).unwrap());
            assert!(
                matches!(found, Found::Products { exact, .. } if exact == sure),
                "{text}"
            );
        }
    }
}
