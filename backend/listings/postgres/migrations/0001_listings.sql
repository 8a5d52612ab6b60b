CREATE TABLE listings (
    id           BIGINT PRIMARY KEY,
    user_id      BIGINT NOT NULL CHECK (user_id > 0),
    listing_type TEXT   NOT NULL CHECK (listing_type IN ('rent', 'sale')),
    price        BIGINT NOT NULL CHECK (price > 0),
    created_at   BIGINT NOT NULL, -- microseconds since the Unix epoch
    updated_at   BIGINT NOT NULL
);

CREATE INDEX listings_by_time ON listings (created_at DESC, id DESC);
CREATE INDEX listings_by_user ON listings (user_id, created_at DESC, id DESC);

-- One row: the last id and time given out. Each transaction that creates
-- listings changes it first and so holds its lock until commit. Ids therefore
-- become visible in their order, which a sequence does not promise.
CREATE TABLE listings_last (
    one        BIGINT PRIMARY KEY CHECK (one = 1),
    id         BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

INSERT INTO listings_last (one, id, created_at) VALUES (1, 0, 0);
