-- AUTOINCREMENT, so that the id of a row deleted by hand is never given again:
-- who has seen an id must have seen all before it.
CREATE TABLE listings (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      INTEGER NOT NULL CHECK (user_id > 0),
    listing_type TEXT    NOT NULL CHECK (listing_type IN ('rent', 'sale')),
    price        INTEGER NOT NULL CHECK (price > 0),
    created_at   INTEGER NOT NULL, -- microseconds since the Unix epoch
    updated_at   INTEGER NOT NULL
) STRICT;

-- An index ends with the row's id without being told, so these also hold the
-- order of rows created at the same moment.
CREATE INDEX listings_by_time ON listings (created_at);
CREATE INDEX listings_by_user ON listings (user_id, created_at);
