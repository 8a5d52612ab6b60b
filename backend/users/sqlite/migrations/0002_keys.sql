-- The idempotency keys of the last day and what each created.
CREATE TABLE users_keys (
    key        TEXT    PRIMARY KEY,
    digest     TEXT    NOT NULL, -- of the parameters
    id         INTEGER NOT NULL, -- of the row in users
    created_at INTEGER NOT NULL  -- microseconds since the Unix epoch
) STRICT, WITHOUT ROWID;

CREATE INDEX users_keys_by_time ON users_keys (created_at);
