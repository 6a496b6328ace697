//! What `verify` checks here: shipping requests, parcels, waybills.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 320,
        name: "shipments",
        counted: "SELECT COUNT(*) FROM shipments",
        broken: &[
            "SELECT s.id AS id, 'it has no line' AS what FROM shipments s
             WHERE NOT EXISTS (SELECT 1 FROM shipment_lines l WHERE l.tenant = s.tenant AND l.shipment = s.id)",
            "SELECT s.id AS id, 'it counts other parcels than it has' AS what FROM shipments s
             WHERE s.parcels <> (SELECT COUNT(*) FROM parcels p WHERE p.tenant = s.tenant AND p.shipment = s.id)",
            "SELECT p.id AS id, 'a parcel belongs to no request' AS what FROM parcels p
             LEFT JOIN shipments s ON s.tenant = p.tenant AND s.id = p.shipment WHERE s.id IS NULL",
            "SELECT l.shipment AS id, 'a line is counted as in parcels otherwise than it is' AS what
             FROM shipment_lines l
             WHERE l.in_parcels <> (SELECT CAST(COALESCE(SUM(i.quantity), 0) AS BIGINT)
                 FROM parcels p JOIN parcel_lines i ON i.tenant = p.tenant AND i.parcel = p.id
                 WHERE p.tenant = l.tenant AND p.shipment = l.shipment AND i.line = l.line AND p.state <> 'cancelled')",
        ],
    },
    Rule {
        place: 330,
        name: "waybills",
        counted: "SELECT COUNT(*) FROM waybills",
        broken: &[
            "SELECT w.parcel AS id, 'it travels by a waybill of another generation, or goes nowhere' AS what
             FROM waybills w LEFT JOIN parcels p ON p.tenant = w.tenant AND p.id = w.parcel
             WHERE w.status = 'live' AND (p.id IS NULL OR p.generation <> w.generation OR p.state = 'cancelled')",
            "SELECT p.id AS id, 'it is ' || p.state || ' without a waybill' AS what FROM parcels p
             WHERE p.state IN ('handed_over', 'returned', 'lost')
                 AND NOT EXISTS (SELECT 1 FROM waybills w WHERE w.tenant = p.tenant AND w.parcel = p.id AND w.status = 'live')",
            "SELECT w.parcel AS id, 'it has a surplus waybill that nobody clears away' AS what
             FROM waybills w LEFT JOIN parcel_generations g
                 ON g.tenant = w.tenant AND g.parcel = w.parcel AND g.generation = w.generation
             WHERE w.status = 'surplus' AND (g.errand IS NULL OR g.errand <> 'clear')",
        ],
    },
    Rule {
        place: 340,
        name: "parcel_generations",
        counted: "SELECT COUNT(*) FROM parcel_generations",
        broken: &[
            "SELECT p.id AS id, 'its generation is missing' AS what
             FROM parcels p LEFT JOIN parcel_generations g
                 ON g.tenant = p.tenant AND g.parcel = p.id AND g.generation = p.generation
             WHERE g.parcel IS NULL",
            "SELECT p.id AS id, 'it has no waybill, and nobody orders one' AS what
             FROM parcels p LEFT JOIN parcel_generations g
                 ON g.tenant = p.tenant AND g.parcel = p.id AND g.generation = p.generation
             WHERE p.state IN ('waiting', 'packed') AND p.change IS NULL AND (g.errand IS NULL OR g.errand <> 'order')
                 AND NOT EXISTS (SELECT 1 FROM waybills w WHERE w.tenant = p.tenant AND w.parcel = p.id AND w.status = 'live')",
            "SELECT p.id AS id, 'a change waits, and nobody does it' AS what
             FROM parcels p LEFT JOIN parcel_generations g
                 ON g.tenant = p.tenant AND g.parcel = p.id AND g.generation = p.generation
             WHERE p.change IS NOT NULL AND (g.errand IS NULL OR g.errand <> 'clear')",
            "SELECT g.parcel AS id, 'an older generation is still to be ordered' AS what
             FROM parcel_generations g LEFT JOIN parcels p ON p.tenant = g.tenant AND p.id = g.parcel
             WHERE g.errand = 'order' AND (p.id IS NULL OR p.generation <> g.generation OR p.state NOT IN ('waiting', 'packed'))",
        ],
    },
];
