//! What `verify` checks here: orders placed online and the coupons they hold.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 250,
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
            "SELECT n.id AS id, 'it is frozen without a coupon' AS what FROM order_freezes n
             WHERE n.status = 'frozen' AND n.points = 0 AND n.balance = 0
                 AND NOT EXISTS (SELECT 1 FROM order_freeze_coupons h WHERE h.tenant = n.tenant AND h.order_id = n.id)",
            "SELECT n.id AS id, 'it is ' || n.status || ', and does not hold the points that it says' AS what
             FROM order_freezes n LEFT JOIN ledger_holds h ON h.tenant = n.tenant AND h.member = n.member AND h.asset = 'points' AND h.hold = n.id
             WHERE COALESCE(h.amount, 0) <> CASE WHEN n.status = 'frozen' THEN n.points ELSE 0 END",
            "SELECT n.id AS id, 'it is ' || n.status || ', and does not hold the balance that it says' AS what
             FROM order_freezes n LEFT JOIN ledger_holds h ON h.tenant = n.tenant AND h.member = n.member AND h.asset = 'balance' AND h.hold = n.id
             WHERE COALESCE(h.amount, 0) <> CASE WHEN n.status = 'frozen' THEN n.balance ELSE 0 END",
            "SELECT h.order_id AS id, 'an operation that is missing took one of its coupons' AS what
             FROM order_freeze_coupons h LEFT JOIN operations o ON o.tenant = h.tenant AND o.id = h.taken_by
             WHERE h.taken_by IS NOT NULL AND o.id IS NULL",
            "SELECT h.order_id AS id, 'there are coupons without an order' AS what
             FROM order_freeze_coupons h LEFT JOIN order_freezes n ON n.tenant = h.tenant AND n.id = h.order_id WHERE n.id IS NULL",
        ],
    },
];
