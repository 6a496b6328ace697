-- Most coupons of a large batch are nobody's yet: they need no place in the index of members.
DROP INDEX coupons_by_member;
CREATE INDEX coupons_by_member ON coupons (tenant, member) WHERE member IS NOT NULL;
