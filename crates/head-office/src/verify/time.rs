//! Invariants of orders placed online, of the days on which coupons fall due, and of messages, as SQL can say them.

use super::rules::Rule;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "order_freezes",
        counted: "SELECT COUNT(*) FROM order_freezes",
        broken: &[
            "SELECT c.id AS id, 'it is ' || c.state || ', and its order is ' || n.status AS what
             FROM coupons c JOIN order_freezes n ON n.tenant = c.tenant AND n.id = c.holder
             WHERE (c.state = 'frozen' AND n.status <> 'frozen') OR (c.state = 'redeemed' AND n.status <> 'confirmed')",
            "SELECT c.id AS id, 'the order that holds it did not ask for it' AS what
             FROM coupons c JOIN order_freezes n ON n.tenant = c.tenant AND n.id = c.holder
                 LEFT JOIN order_freeze_coupons h ON h.tenant = n.tenant AND h.order_id = n.id AND h.coupon = c.id
             WHERE h.coupon IS NULL",
            "SELECT n.id AS id, 'it is ' || n.status || ', and does not hold one of its coupons, which nobody took' AS what
             FROM order_freezes n JOIN order_freeze_coupons h ON h.tenant = n.tenant AND h.order_id = n.id
                 LEFT JOIN coupons c ON c.tenant = h.tenant AND c.id = h.coupon
             WHERE n.status IN ('frozen', 'confirmed') AND h.taken_by IS NULL AND (c.id IS NULL OR c.holder IS NULL OR c.holder <> n.id)",
            "SELECT n.id AS id, 'it is ' || n.status || ' without a coupon' AS what FROM order_freezes n
             WHERE n.status IN ('frozen', 'confirmed', 'voided')
                 AND NOT EXISTS (SELECT 1 FROM order_freeze_coupons h WHERE h.tenant = n.tenant AND h.order_id = n.id)",
            "SELECT h.order_id AS id, 'an operation that is missing took one of its coupons' AS what
             FROM order_freeze_coupons h LEFT JOIN operations o ON o.tenant = h.tenant AND o.id = h.taken_by
             WHERE h.taken_by IS NOT NULL AND o.id IS NULL",
            "SELECT h.order_id AS id, 'there are coupons without an order' AS what
             FROM order_freeze_coupons h LEFT JOIN order_freezes n ON n.tenant = h.tenant AND n.id = h.order_id WHERE n.id IS NULL",
        ],
    },
    Rule {
        name: "coupon_days",
        counted: "SELECT COUNT(*) FROM coupon_days",
        broken: &[
            "SELECT d.coupon AS id, 'its day is that of another coupon, member or end' AS what
             FROM coupon_days d LEFT JOIN coupons c ON c.tenant = d.tenant AND c.id = d.coupon
             WHERE c.id IS NULL OR c.valid_until IS NULL OR c.valid_until <> d.expires_at
                 OR COALESCE(c.member, d.coupon) <> COALESCE(d.member, d.coupon)",
            "SELECT coupon AS id, 'day ' || CAST(day AS TEXT) || ' does not fit its end' AS what FROM coupon_days
             WHERE (what = 'expire' AND day <> expires_at / 86400000) OR (what = 'remind' AND day <> expires_at / 86400000 - 3)",
            // By the days that fit its end; whatever is on another is told above.
            "SELECT d.coupon AS id, 'it has 2 days' AS what
             FROM coupon_days d JOIN coupon_days e ON e.tenant = d.tenant AND e.day = d.day + 3 AND e.coupon = d.coupon
             WHERE d.what = 'remind'",
            "SELECT c.id AS id, 'it was given and has an end, and no day' AS what FROM coupons c
             WHERE c.state = 'available' AND c.version > 0 AND c.valid_until IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM coupon_days d WHERE d.tenant = c.tenant AND d.day = c.valid_until / 86400000 AND d.coupon = c.id)
                 AND NOT EXISTS (SELECT 1 FROM coupon_days d WHERE d.tenant = c.tenant AND d.day = c.valid_until / 86400000 - 3 AND d.coupon = c.id)",
        ],
    },
    Rule {
        name: "messages",
        counted: "SELECT (SELECT COUNT(*) FROM messages) + (SELECT COUNT(*) FROM member_messages)",
        broken: &[
            "WITH to_all AS MATERIALIZED (SELECT tenant, COUNT(*) AS numbered, MAX(number) AS last FROM messages WHERE number IS NOT NULL GROUP BY tenant)
             SELECT h.tenant AS id, CAST(COALESCE(m.numbered, 0) AS TEXT) || ' messages to all up to number ' || CAST(COALESCE(m.last, 0) AS TEXT) || ', and the head says ' || CAST(h.number AS TEXT) AS what
             FROM message_heads h LEFT JOIN to_all m ON m.tenant = h.tenant
             WHERE COALESCE(m.numbered, 0) <> h.number OR COALESCE(m.last, 0) <> h.number",
            "SELECT DISTINCT m.tenant AS id, 'there are messages to all without a head' AS what
             FROM messages m WHERE m.number IS NOT NULL AND NOT EXISTS (SELECT 1 FROM message_heads h WHERE h.tenant = m.tenant)",
            "SELECT o.member AS id, 'a message of this member, or the member, is missing' AS what
             FROM member_messages o LEFT JOIN messages m ON m.tenant = o.tenant AND m.id = o.message
                 LEFT JOIN members p ON p.tenant = o.tenant AND p.id = o.member
             WHERE m.id IS NULL OR p.id IS NULL",
            "SELECT i.member AS id, 'this member has looked further than was sent' AS what
             FROM inboxes i LEFT JOIN message_heads h ON h.tenant = i.tenant WHERE i.number > COALESCE(h.number, 0)",
            // Few are to all, beside those to members by name.
            "WITH to_all AS MATERIALIZED (SELECT tenant, id, number, sent_at FROM messages WHERE number IS NOT NULL)
             SELECT i.member AS id, 'this member has looked, and has no row of a message to all' AS what
             FROM inboxes i JOIN members p ON p.tenant = i.tenant AND p.id = i.member
                 JOIN to_all m ON m.tenant = i.tenant AND m.number <= i.number AND m.sent_at >= p.created_at
                 LEFT JOIN member_messages o ON o.tenant = i.tenant AND o.member = i.member AND o.message = m.id
             WHERE o.message IS NULL",
        ],
    },
];

#[cfg(test)]
mod tests {
    use counterfoil_domain::time::DAY;

    use crate::coupons::days::REMIND_BEFORE;

    #[test]
    fn the_days_in_the_rules_are_those_that_are_written() {
        assert_eq!((DAY, REMIND_BEFORE / DAY, REMIND_BEFORE % DAY), (86_400_000, 3, 0));
    }
}
