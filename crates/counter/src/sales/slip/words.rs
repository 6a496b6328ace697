//! The words of a slip in both languages, and amounts as people read them.

/// In which language a slip is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// 中文.
    Zh,
    /// English.
    En,
}

/// What a slip says.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) sale: &'static str,
    pub(super) void: &'static str,
    pub(super) returned: &'static str,
    pub(super) voided: &'static str,
    pub(super) receipt: &'static str,
    pub(super) member: &'static str,
    pub(super) time: &'static str,
    pub(super) clerk: &'static str,
    pub(super) operation: &'static str,
    pub(super) off: &'static str,
    pub(super) subtotal: &'static str,
    pub(super) coupon: &'static str,
    pub(super) payable: &'static str,
    pub(super) tender: &'static str,
    pub(super) refunded: &'static str,
    pub(super) refund: &'static str,
    pub(super) reason: &'static str,
    pub(super) given_back: &'static str,
    pub(super) signature: &'static str,
    pub(super) points_used: &'static str,
    pub(super) points_earned: &'static str,
    pub(super) points_left: &'static str,
    pub(super) balance_paid: &'static str,
    pub(super) balance_back: &'static str,
    pub(super) balance_left: &'static str,
    pub(super) by_till: &'static str,
    pub(super) paid_in: &'static str,
}

const ZH: Words = Words {
    sale: "销售小票",
    void: "撤销小票",
    returned: "退货小票",
    voided: "已撤销",
    receipt: "收银小票号",
    member: "会员",
    time: "时间",
    clerk: "店员",
    operation: "操作",
    off: "优惠",
    subtotal: "合计",
    coupon: "优惠券",
    payable: "实付",
    tender: "支付方式",
    refunded: "已退款",
    refund: "退款",
    reason: "原因",
    given_back: "退回优惠券",
    signature: "顾客签名",
    points_used: "积分抵扣",
    points_earned: "获得积分",
    points_left: "可用积分",
    balance_paid: "其中储值支付",
    balance_back: "其中退回储值",
    balance_left: "储值余额",
    by_till: "收银机退款",
    paid_in: "储值充值",
};

const EN: Words = Words {
    sale: "Sale",
    void: "Void",
    returned: "Return",
    voided: "VOIDED",
    receipt: "Receipt",
    member: "Member",
    time: "Time",
    clerk: "Clerk",
    operation: "Operation",
    off: "Discount",
    subtotal: "Subtotal",
    coupon: "Coupon",
    payable: "Paid",
    tender: "Paid by",
    refunded: "Refunded",
    refund: "Refund",
    reason: "Reason",
    given_back: "Coupon given back",
    signature: "Signature",
    points_used: "Points used",
    points_earned: "Points earned",
    points_left: "Points available",
    balance_paid: "of it stored value",
    balance_back: "of it to stored value",
    balance_left: "Stored value left",
    by_till: "From the till",
    paid_in: "Top-up",
};

impl Language {
    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::Zh => &ZH,
            Self::En => &EN,
        }
    }

    /// How it was paid. Another program of the chain may have its own word, which is printed as it is.
    pub(super) fn tender(self, code: &str) -> &str {
        let (zh, en) = match code {
            "cash" => ("现金", "Cash"),
            "card" => ("银行卡", "Bank card"),
            "wechat" => ("微信", "WeChat Pay"),
            "alipay" => ("支付宝", "Alipay"),
            "balance" => ("储值", "Stored value"),
            "other" => ("其他", "Other"),
            own => return own,
        };
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// As PDF names it.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }
}

/// Digits after the point (ISO 4217, of those that are not 2).
fn digits(currency: &str) -> u32 {
    match currency {
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// A number with groups of thousands.
fn grouped(number: u64) -> String {
    let plain = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in plain.chars().enumerate() {
        if place > 0 && (plain.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many points, as people read them.
pub(super) fn points(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

/// An amount in whole units with its point, and with groups of thousands.
pub(super) fn money(amount: i64, currency: &str) -> String {
    let digits = digits(currency);
    let unit = 10_u64.pow(digits);
    let (whole, rest) = (amount.unsigned_abs() / unit, amount.unsigned_abs() % unit);
    let grouped = grouped(whole);
    let sign = if amount < 0 { "-" } else { "" };
    if digits == 0 {
        return format!("{sign}{grouped}");
    }
    format!("{sign}{grouped}.{rest:0width$}", width = digits as usize)
}

#[cfg(test)]
mod tests {
    use super::money;

    #[test]
    fn amounts_are_written_as_people_read_them() {
        for (amount, currency, text) in [
            (0, "CNY", "0.00"),
            (5, "CNY", "0.05"),
            (-1_050, "CNY", "-10.50"),
            (123_456_789, "CNY", "1,234,567.89"),
            (1_000, "JPY", "1,000"),
            (1_000, "KWD", "1.000"),
            (i64::MIN, "CNY", "-92,233,720,368,547,758.08"),
        ] {
            assert_eq!(money(amount, currency), text);
        }
    }
}
