-- Printed coupons from before they had days end like all others.
INSERT INTO coupon_days (tenant, day, coupon, member, what, expires_at, status, told, tries, next_try_at)
SELECT tenant, valid_until / 86400000, id, member, 'expire', valid_until, 'pending', 0, 0, valid_until
FROM coupons WHERE member IS NULL AND version > 0 AND valid_until IS NOT NULL AND state IN ('available', 'frozen')
ON CONFLICT DO NOTHING;
