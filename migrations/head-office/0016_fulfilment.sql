-- Shipping: carriers, addresses of members, shipping requests, their parcels and waybills.

-- How a chain reaches carriers, and what proves who it is there.
CREATE TABLE carriers (
    tenant     BYTEA  NOT NULL REFERENCES tenants (tenant),
    adapter    TEXT   NOT NULL CHECK (adapter IN ('sandbox', 'kuaidi100')),
    -- Another one each time it is set.
    edition    BYTEA  NOT NULL,
    url        TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    secret     BYTEA  NOT NULL,
    -- What signs what they tell by themselves, and where they tell it.
    salt       BYTEA  NOT NULL,
    callback   TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, adapter)
);

-- The address book of members.
CREATE TABLE addresses (
    tenant     BYTEA  NOT NULL,
    id         BYTEA  NOT NULL,
    member     BYTEA  NOT NULL,
    recipient  TEXT   NOT NULL,
    phone      TEXT   NOT NULL,
    region     TEXT   NOT NULL,
    street     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX addresses_of_member ON addresses (tenant, member, id);

-- Shipping requests: one of each source, with the address as it was, until it is changed for what is not yet on its way.
CREATE TABLE shipments (
    tenant       BYTEA  NOT NULL,
    id           BYTEA  NOT NULL,
    kind         TEXT   NOT NULL CHECK (kind IN ('purchase', 'exchange')),
    -- The exchange, or the number of the order.
    source       TEXT   NOT NULL,
    member       BYTEA,
    recipient    TEXT   NOT NULL,
    phone        TEXT   NOT NULL,
    region       TEXT   NOT NULL,
    street       TEXT   NOT NULL,
    -- The number of its last parcel.
    parcels      BIGINT NOT NULL CHECK (parcels >= 0),
    cancelled_at BIGINT,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, kind, source)
);
CREATE INDEX shipments_of_member ON shipments (tenant, member, id) WHERE member IS NOT NULL;

-- What was ordered, and how much of it is in parcels: never more.
CREATE TABLE shipment_lines (
    tenant     BYTEA  NOT NULL,
    shipment   BYTEA  NOT NULL,
    line       BIGINT NOT NULL,
    sku        TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    ordered    BIGINT NOT NULL CHECK (ordered > 0),
    in_parcels BIGINT NOT NULL CHECK (in_parcels >= 0 AND in_parcels <= ordered),
    PRIMARY KEY (tenant, shipment, line)
);

CREATE TABLE parcels (
    tenant     BYTEA  NOT NULL,
    id         BYTEA  NOT NULL,
    shipment   BYTEA  NOT NULL,
    number     BIGINT NOT NULL CHECK (number >= 1),
    -- Grows when what the carrier was told holds no longer; with the parcel's id it is our own key at the carrier.
    generation BIGINT NOT NULL CHECK (generation >= 1),
    state      TEXT   NOT NULL CHECK (state IN ('waiting', 'packed', 'handed_over', 'returned', 'lost', 'cancelled')),
    -- What follows once the carrier has cancelled the waybill of this generation.
    change     TEXT   CHECK (change IN ('address', 'cancel')),
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, shipment, number),
    CHECK (change IS NULL OR state IN ('waiting', 'packed'))
);
CREATE INDEX parcels_to_pack ON parcels (tenant, id) WHERE state IN ('waiting', 'packed');

CREATE TABLE parcel_lines (
    tenant   BYTEA  NOT NULL,
    parcel   BYTEA  NOT NULL,
    line     BIGINT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (tenant, parcel, line)
);

-- What is to be done at the carrier for a generation of a parcel: order a waybill, or clear away every waybill but the
-- live one.
CREATE TABLE parcel_generations (
    tenant         BYTEA  NOT NULL,
    parcel         BYTEA  NOT NULL,
    generation     BIGINT NOT NULL,
    errand         TEXT   CHECK (errand IN ('order', 'clear')),
    -- When it is done next; while somebody is at it, when somebody else may take over.
    errand_at      BIGINT,
    tries          BIGINT NOT NULL CHECK (tries >= 0),
    -- Grows whenever somebody takes the errand or it becomes another one: who has an older turn writes nothing.
    turn           BIGINT NOT NULL,
    -- Until when an answer may still come that nobody has heard.
    doubtful_until BIGINT,
    -- Why the last try came to nothing.
    trouble        TEXT,
    PRIMARY KEY (tenant, parcel, generation),
    CHECK ((errand IS NULL) = (errand_at IS NULL))
);
CREATE INDEX parcel_generations_due ON parcel_generations (errand_at) WHERE errand_at IS NOT NULL;

-- Waybills, and how far each is. One that came though the parcel had one is surplus until the carrier has cancelled it.
CREATE TABLE waybills (
    tenant      BYTEA  NOT NULL,
    carrier     TEXT   NOT NULL,
    number      TEXT   NOT NULL,
    parcel      BYTEA  NOT NULL,
    generation  BIGINT NOT NULL,
    status      TEXT   NOT NULL CHECK (status IN ('live', 'surplus', 'cancelled')),
    created_at  BIGINT NOT NULL,
    -- What the carrier last told, the instant of the newest event in it (0 = there was none), and when it was told.
    progress    TEXT,
    event_at    BIGINT,
    event_count BIGINT NOT NULL,
    events      TEXT   NOT NULL,
    told_at     BIGINT,
    -- When the carrier was last asked, and when it is next; nothing once nothing more comes.
    asked_at    BIGINT,
    track_at    BIGINT,
    -- Whether the carrier tells of changes by itself.
    subscribed  BIGINT NOT NULL CHECK (subscribed IN (0, 1)),
    PRIMARY KEY (tenant, carrier, number)
);
CREATE UNIQUE INDEX waybills_live ON waybills (tenant, parcel) WHERE status = 'live';
CREATE INDEX waybills_of_parcel ON waybills (tenant, parcel, generation);
CREATE INDEX waybills_due ON waybills (track_at) WHERE track_at IS NOT NULL;
-- PostgreSQL: ALTER TABLE parcels SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE parcel_generations SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE waybills SET (fillfactor = 70);
