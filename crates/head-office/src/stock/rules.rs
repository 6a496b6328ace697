//! What `verify` checks here: what is on hand is the fold of the movements.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[Rule {
    place: 280,
    name: "stocks",
    counted: "SELECT COUNT(*) FROM stocks",
    broken: &[
        "SELECT s.id AS id, CAST(s.on_hand AS TEXT) || ' are on hand after ' || CAST(s.moves AS TEXT) || ' movements; there are ' || CAST(COALESCE(m.moves, 0) AS TEXT) || ', which come to ' || CAST(COALESCE(m.quantity, 0) AS TEXT) AS what
         FROM stocks s LEFT JOIN (SELECT tenant, stock, COUNT(*) AS moves, MAX(number) AS latest, CAST(SUM(quantity) AS BIGINT) AS quantity FROM stock_moves GROUP BY tenant, stock) AS m
             ON m.tenant = s.tenant AND m.stock = s.id
         WHERE s.on_hand <> COALESCE(m.quantity, 0) OR s.moves <> COALESCE(m.moves, 0) OR s.moves <> COALESCE(m.latest, 0)",
        "SELECT m.stock AS id, 'a movement is of no stock, or says what was on hand otherwise' AS what
         FROM stock_moves m LEFT JOIN stocks s ON s.tenant = m.tenant AND s.id = m.stock
         WHERE s.id IS NULL OR (m.number = s.moves AND m.on_hand <> s.on_hand)",
    ],
}];
