-- What waits at no carrier is found when the chain has one.
CREATE INDEX parcel_generations_in_trouble ON parcel_generations (tenant, trouble) WHERE trouble IS NOT NULL;
