//! Kuaidi100, an aggregator that tracks the waybills of many companies: asked, subscribed to, and heard when it calls back.
//!
//! ```text
//! query      POST {url}/poll/query.do   customer, sign = UPPER(MD5(param + key + customer)), param = the exact JSON
//! subscribe  POST {url}/poll            schema = json, param = JSON with the key, our address and the salt
//! push       POST our address           sign = UPPER(MD5(param + salt)), param = JSON
//! ```

use async_trait::async_trait;
use counterfoil_domain::time::Millis;
use jiff::{civil::DateTime, tz::TimeZone};
use md5::{Digest, Md5};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    Carrier, CarrierError, Event, Progress, Report, Tracked,
    web::{self, Came},
};

/// Companies that tell nothing without the last digits of the recipient's phone number: SF and ZTO.
const NEED_PHONE: &[&str] = &["shunfeng", "shunfengkuaiyun", "zhongtong", "zhongtongkuaiyun"];
/// How many digits of it.
const PHONE_DIGITS: usize = 4;
/// The answer's time zone.
const ZONE: &str = "Asia/Shanghai";

/// What the account at Kuaidi100 is.
#[derive(Clone)]
pub struct Account {
    /// Where it is: `https://poll.kuaidi100.com`.
    pub url: Url,
    /// The customer's word.
    pub customer: String,
    /// Signs questions.
    pub key: Zeroizing<String>,
    /// Signs what it tells by itself.
    pub salt: Zeroizing<String>,
    /// Where it tells of changes by itself; nowhere when absent.
    pub callback: Option<Url>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

/// The adapter.
#[derive(Debug)]
pub struct Kuaidi100 {
    account: Account,
    client: Client,
}

#[derive(Serialize)]
struct Asked<'a> {
    com: &'a str,
    num: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    resultv2: &'static str,
    show: &'static str,
    order: &'static str,
}

/// What a waybill's report looks like, asked for or told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Told {
    /// The waybill's number.
    pub nu: String,
    /// The company.
    pub com: String,
    state: Number,
    #[serde(default)]
    data: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Line {
    #[serde(default)]
    time: String,
    #[serde(default)]
    ftime: String,
    #[serde(default)]
    context: String,
}

/// A number, as a text or as one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Number(u32),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pushed {
    last_result: Value,
}

fn md5_upper(parts: &[&str]) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hex::encode_upper(hash.finalize())
}

/// The signature of a question.
pub fn sign_query(param: &str, key: &str, customer: &str) -> String {
    md5_upper(&[param, key, customer])
}

/// The signature of what it tells by itself.
pub fn sign_push(param: &str, salt: &str) -> String {
    md5_upper(&[param, salt])
}

/// Whether what was told is signed with this salt; how long the answer takes says nothing of how far a guess is right.
pub fn is_signed(param: &str, salt: &str, sign: &str) -> bool {
    Sha256::digest(sign_push(param, salt)) == Sha256::digest(sign.to_ascii_uppercase())
}

/// Reads what it tells by itself; `None` when that is no report.
pub fn read_push(param: &str) -> Option<(Told, Report)> {
    let pushed: Pushed = serde_json::from_str(param).ok()?;
    let told: Told = serde_json::from_value(pushed.last_result).ok()?;
    let report = told.report()?;
    Some((told, report))
}

/// The form that a push comes in.
#[derive(Deserialize)]
pub struct Push {
    /// JSON, as it was signed.
    pub param: String,
    /// The signature.
    #[serde(default)]
    pub sign: String,
}

impl std::fmt::Debug for Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Push").finish_non_exhaustive()
    }
}

impl Told {
    /// In our words; `None` when a time does not read.
    fn report(&self) -> Option<Report> {
        let state = match &self.state {
            Number::Text(text) => text.clone(),
            Number::Number(number) => number.to_string(),
        };
        let events = self.data.iter().map(Line::event).collect::<Option<Vec<_>>>()?;
        Some(Report::new(Progress::of_kuaidi100(state.trim()), events))
    }
}

impl Line {
    fn event(&self) -> Option<Event> {
        let written = if self.ftime.is_empty() { &self.time } else { &self.ftime };
        Some(Event {
            at: instant(written)?,
            text: self.context.clone(),
        })
    }
}

fn instant(written: &str) -> Option<Millis> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", written.trim()).ok()?;
    let zone = TimeZone::get(ZONE).ok()?;
    Some(time.to_zoned(zone).ok()?.timestamp().as_millisecond())
}

impl Kuaidi100 {
    /// With this account.
    pub fn new(account: Account, client: Client) -> Self {
        Self { account, client }
    }

    fn phone<'t>(&self, what: &'t Tracked) -> Result<Option<&'t str>, CarrierError> {
        if !NEED_PHONE.contains(&what.company.as_str()) {
            return Ok(None);
        }
        let start = what.phone.len().checked_sub(PHONE_DIGITS);
        start
            .and_then(|start| what.phone.get(start..))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .map(Some)
            .ok_or_else(|| CarrierError::Refused("phone_missing".to_owned()))
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Value, CarrierError> {
        let mut url = self.account.url.clone();
        url.set_path(path);
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(body);
        read(web::send(request).await?)
    }
}

/// Refusals come with a status of 200 too.
fn read<T: DeserializeOwned>(came: Came) -> Result<T, CarrierError> {
    let said: Value = came.json()?;
    if said["result"] == false {
        let code = match &said["returnCode"] {
            Value::String(code) => code.clone(),
            other => other.to_string(),
        };
        return Err(CarrierError::Refused(web::word(&code)));
    }
    serde_json::from_value(said).map_err(|_| CarrierError::Unclear("the answer is not what was agreed upon"))
}

#[async_trait]
impl Carrier for Kuaidi100 {
    async fn track(&self, what: &Tracked) -> Result<Report, CarrierError> {
        let asked = Asked {
            com: &what.company,
            num: &what.number,
            phone: self.phone(what)?,
            resultv2: "4",
            show: "0",
            order: "desc",
        };
        // The signature is over these very bytes.
        let param = serde_json::to_string(&asked).map_err(|_| CarrierError::NotOffered)?;
        let account = &self.account;
        let sign = sign_query(&param, &account.key, &account.customer);
        let form = [
            ("customer", account.customer.as_str()),
            ("sign", &sign),
            ("param", &param),
        ];
        let said = self.post("/poll/query.do", &form).await?;
        let told: Told = serde_json::from_value(said)
            .map_err(|_| CarrierError::Unclear("the answer is not what was agreed upon"))?;
        if told.nu != what.number {
            return Err(CarrierError::Unclear("the answer is about another waybill"));
        }
        told.report()
            .ok_or(CarrierError::Unclear("the answer is not what was agreed upon"))
    }

    async fn subscribe(&self, what: &Tracked) -> Result<bool, CarrierError> {
        let Some(callback) = &self.account.callback else {
            return Ok(false);
        };
        let mut parameters = json!({
            "callbackurl": callback.as_str(),
            "salt": self.account.salt.as_str(),
            "resultv2": "4",
        });
        if let Some(phone) = self.phone(what)? {
            parameters["phone"] = json!(phone);
        }
        let param = json!({
            "company": what.company,
            "number": what.number,
            "key": self.account.key.as_str(),
            "parameters": parameters,
        });
        let param = Zeroizing::new(param.to_string());
        match self.post("/poll", &[("schema", "json"), ("param", &param)]).await {
            Ok(_) => Ok(true),
            // It was subscribed to before.
            Err(CarrierError::Refused(code)) if code == "501" => Ok(true),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `md5sum`: for whoever signs in another language.
    #[test]
    fn a_signature_is_of_the_exact_text() {
        let param = r#"{"com":"yuantong","num":"YT1"}"#;
        assert_eq!(sign_query(param, "k", "c"), "F295E842A7D1AE91612C9EB4C2D6C686");
        assert_eq!(sign_push(param, "salt"), "27DF9812709E8CCD12832D106818E908");
        assert!(is_signed(param, "salt", &sign_push(param, "salt")));
        assert!(is_signed(param, "salt", &sign_push(param, "salt").to_lowercase()));
        for wrong in ["", "PUSH", &sign_push(param, "other"), &sign_push("{}", "salt")] {
            assert!(!is_signed(param, "salt", wrong), "{wrong}");
        }
    }

    #[test]
    fn what_it_tells_is_read() {
        let (told, report) = read_push(include_str!("recorded/push.json")).unwrap();
        assert_eq!((told.com.as_str(), told.nu.as_str()), ("shunfeng", "SF0000000000001"));
        assert_eq!(report.progress, Progress::Delivering);
        // 8 o'clock in Shanghai is midnight.
        assert_eq!(report.events[0].at, 1_793_491_200_000);
        assert_eq!(report.events.len(), 2);
        for strange in [
            "",
            "[]",
            "{}",
            r#"{"lastResult":null}"#,
            r#"{"lastResult":{"nu":"1","com":"x","state":"0","data":[{"ftime":"yesterday"}]}}"#,
            "<html>",
        ] {
            assert_eq!(read_push(strange), None, "{strange}");
        }
    }

    #[test]
    fn answers_are_told_from_refusals() {
        let came = |text: &str| Came {
            status: 200,
            media_type: "application/json".into(),
            bytes: text.as_bytes().to_vec(),
        };
        let told: Told = read(came(include_str!("recorded/query.json"))).unwrap();
        let report = told.report().unwrap();
        assert_eq!((report.progress, report.events.len()), (Progress::Signed, 3));
        let refused: Result<Told, _> = read(came(include_str!("recorded/refused.json")));
        assert_eq!(refused, Err(CarrierError::Refused("503".into())));
        let page: Result<Told, _> = read(came("<html><body>502 Bad Gateway</body></html>"));
        assert!(matches!(page, Err(CarrierError::Unclear(_))));
    }

    #[test]
    fn some_need_the_end_of_the_phone_number() {
        let account = Account {
            url: Url::parse("https://poll.kuaidi100.com").unwrap(),
            customer: "c".into(),
            key: String::from("very-secret").into(),
            salt: String::from("very-secret").into(),
            callback: None,
        };
        let adapter = Kuaidi100::new(account, web::client().unwrap());
        assert!(!format!("{adapter:?}").contains("very-secret"));
        let of = |company: &str, phone: &str| {
            let what = Tracked {
                company: company.into(),
                number: "1".into(),
                phone: phone.into(),
            };
            adapter.phone(&what).map(|digits| digits.map(str::to_owned))
        };
        assert_eq!(of("yuantong", "13800001234"), Ok(None));
        assert_eq!(of("shunfeng", "13800001234"), Ok(Some("1234".into())));
        assert_eq!(of("zhongtong", "13800001234"), Ok(Some("1234".into())));
        for phone in ["", "123", "12ab", "豆豆"] {
            assert!(of("shunfeng", phone).is_err(), "{phone}");
        }
    }
}
