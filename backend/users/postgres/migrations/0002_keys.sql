-- The idempotency keys of the last day and what each created.
CREATE TABLE users_keys (
    key        TEXT   PRIMARY KEY,
    digest     TEXT   NOT NULL, -- of the parameters
    id         BIGINT NOT NULL, -- of the row in users
    created_at BIGINT NOT NULL  -- microseconds since the Unix epoch
);

CREATE INDEX users_keys_by_time ON users_keys (created_at);
