//! What `verify` checks of accounts and the ledger.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 300,
        name: "accounts",
        counted: "SELECT COUNT(*) FROM accounts",
        broken: &[
            "SELECT a.member AS id, 'its balances are not what its lots come to' AS what
             FROM accounts a LEFT JOIN (SELECT tenant, member,
                     SUM(CASE WHEN asset = 'points' THEN free ELSE 0 END) AS points_free, SUM(CASE WHEN asset = 'points' THEN held ELSE 0 END) AS points_held,
                     SUM(CASE WHEN asset = 'balance' THEN free ELSE 0 END) AS balance_free, SUM(CASE WHEN asset = 'balance' THEN held ELSE 0 END) AS balance_held
                 FROM ledger_lots GROUP BY tenant, member) AS l ON l.tenant = a.tenant AND l.member = a.member
             WHERE a.points_available + a.points_pending <> COALESCE(l.points_free, 0) OR a.points_held <> COALESCE(l.points_held, 0)
                 OR a.balance_available + a.balance_pending <> COALESCE(l.balance_free, 0) OR a.balance_held <> COALESCE(l.balance_held, 0)",
            "SELECT member AS id, 'something is available beside a debt' AS what FROM accounts
             WHERE (points_debt > 0 AND points_available > 0) OR (balance_debt > 0 AND balance_available > 0)",
            "SELECT a.member AS id, 'its last entries are not what it says' AS what
             FROM accounts a
                 LEFT JOIN ledger_entries p ON p.tenant = a.tenant AND p.member = a.member AND p.asset = 'points' AND p.entry = a.points_entries
                 LEFT JOIN ledger_entries b ON b.tenant = a.tenant AND b.member = a.member AND b.asset = 'balance' AND b.entry = a.balance_entries
             WHERE (a.points_entries > 0 AND (p.entry IS NULL OR p.debt <> a.points_debt OR p.held <> a.points_held
                     OR p.available + p.pending <> a.points_available + a.points_pending))
                 OR (a.balance_entries > 0 AND (b.entry IS NULL OR b.debt <> a.balance_debt OR b.held <> a.balance_held
                     OR b.available + b.pending <> a.balance_available + a.balance_pending))",
        ],
    },
    Rule {
        place: 310,
        name: "ledger_lots",
        counted: "SELECT COUNT(*) FROM ledger_lots",
        broken: &[
            "SELECT l.member AS id, 'lot ' || CAST(l.lot AS TEXT) || ' of ' || l.asset || ' is not what its shares come to' AS what
             FROM ledger_lots l LEFT JOIN (SELECT tenant, member, asset, lot, SUM(free) AS free, SUM(held) AS held FROM ledger_shares GROUP BY tenant, member, asset, lot) AS s
                 ON s.tenant = l.tenant AND s.member = l.member AND s.asset = l.asset AND s.lot = l.lot
             WHERE l.free <> COALESCE(s.free, 0) OR l.held <> COALESCE(s.held, 0)",
            "SELECT s.member AS id, 'entry ' || CAST(s.entry AS TEXT) || ' of ' || s.asset || ' has a share of no lot' AS what
             FROM ledger_shares s LEFT JOIN ledger_lots l ON l.tenant = s.tenant AND l.member = s.member AND l.asset = s.asset AND l.lot = s.lot
             WHERE l.lot IS NULL",
            "SELECT l.member AS id, 'lot ' || CAST(l.lot AS TEXT) || ' of ' || l.asset || ' was made by no entry' AS what
             FROM ledger_lots l LEFT JOIN ledger_entries e ON e.tenant = l.tenant AND e.member = l.member AND e.asset = l.asset AND e.entry = l.lot
             WHERE e.entry IS NULL OR e.kind NOT IN ('earn', 'adjust', 'return')",
        ],
    },
    Rule {
        place: 320,
        name: "ledger_entries",
        counted: "SELECT COUNT(*) FROM ledger_entries",
        broken: &[
            "SELECT e.member AS id, 'entry ' || CAST(e.entry AS TEXT) || ' of ' || e.asset || ' is not what its shares come to' AS what
             FROM ledger_entries e LEFT JOIN (SELECT tenant, member, asset, entry, SUM(free + held) AS moved FROM ledger_shares GROUP BY tenant, member, asset, entry) AS s
                 ON s.tenant = e.tenant AND s.member = e.member AND s.asset = e.asset AND s.entry = e.entry
             WHERE e.amount + e.owed <> COALESCE(s.moved, 0)",
            "SELECT id, 'entry ' || CAST(entry AS TEXT) || ' of ' || asset || ' does not follow from the one before' AS what FROM (
                 SELECT member AS id, asset, entry, amount, owed, debt, available + held + pending AS total,
                     LAG(entry) OVER ledger AS entry_before, LAG(debt) OVER ledger AS debt_before, LAG(available + held + pending) OVER ledger AS total_before
                 FROM ledger_entries WINDOW ledger AS (PARTITION BY tenant, member, asset ORDER BY entry)) AS steps
             WHERE entry <> COALESCE(entry_before, 0) + 1 OR debt <> COALESCE(debt_before, 0) + owed OR total <> COALESCE(total_before, 0) + amount + owed",
            "SELECT e.member AS id, 'entry ' || CAST(e.entry AS TEXT) || ' of ' || e.asset || ' is of nobody' AS what
             FROM ledger_entries e LEFT JOIN accounts a ON a.tenant = e.tenant AND a.member = e.member
             WHERE a.member IS NULL OR e.entry > CASE WHEN e.asset = 'points' THEN a.points_entries ELSE a.balance_entries END",
            "SELECT member AS id, 'more than was spent went back by entry ' || CAST(entry AS TEXT) || ' of ' || asset AS what FROM ledger_shares
             WHERE given_back > 0 AND given_back > -(free + held)",
        ],
    },
    Rule {
        place: 330,
        name: "ledger_holds",
        counted: "SELECT COUNT(*) FROM ledger_holds",
        broken: &[
            "SELECT a.member AS id, 'its holds are not what is pinned of it' AS what
             FROM accounts a LEFT JOIN (SELECT tenant, member, SUM(CASE WHEN asset = 'points' THEN amount ELSE 0 END) AS points,
                     SUM(CASE WHEN asset = 'balance' THEN amount ELSE 0 END) AS balance FROM ledger_holds GROUP BY tenant, member) AS h
                 ON h.tenant = a.tenant AND h.member = a.member
             WHERE a.points_held <> COALESCE(h.points, 0) OR a.balance_held <> COALESCE(h.balance, 0)",
            "SELECT h.member AS id, 'a hold of ' || h.asset || ' is of nobody' AS what
             FROM ledger_holds h LEFT JOIN accounts a ON a.tenant = h.tenant AND a.member = h.member WHERE a.member IS NULL",
        ],
    },
    Rule {
        place: 340,
        name: "earnings",
        counted: "SELECT COUNT(*) FROM earnings",
        broken: &[
            "SELECT n.member AS id, 'what ' || n.source_of || ' earned is in no entry' AS what
             FROM earnings n
                 LEFT JOIN ledger_entries p ON p.tenant = n.tenant AND p.asset = 'points' AND p.source_of = n.source_of AND p.source = n.source AND p.kind = 'earn'
                 LEFT JOIN ledger_entries b ON b.tenant = n.tenant AND b.asset = 'balance' AND b.source_of = n.source_of AND b.source = n.source AND b.kind = 'earn'
             WHERE n.amount > 0 AND (COALESCE(p.entry, b.entry) IS NULL OR COALESCE(p.member, b.member) <> n.member OR COALESCE(p.amount, b.amount) <> n.amount)",
        ],
    },
    Rule {
        place: 345,
        name: "point_days",
        counted: "SELECT COUNT(*) FROM point_days",
        broken: &[
            "SELECT member AS id, 'day ' || CAST(day AS TEXT) || ' does not fit the end of its points' AS what FROM point_days
             WHERE day <> (ends_at - 259200000) / 86400000",
            "SELECT d.member AS id, 'its points are of no account' AS what
             FROM point_days d LEFT JOIN accounts a ON a.tenant = d.tenant AND a.member = d.member WHERE a.member IS NULL",
        ],
    },
];
