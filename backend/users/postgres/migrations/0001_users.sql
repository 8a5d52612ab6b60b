CREATE TABLE users (
    id         BIGINT PRIMARY KEY,
    name       TEXT   NOT NULL CHECK (name <> ''),
    created_at BIGINT NOT NULL, -- microseconds since the Unix epoch
    updated_at BIGINT NOT NULL
);

CREATE INDEX users_by_time ON users (created_at DESC, id DESC);

-- One row: the last id and time given out. Each transaction that creates
-- users changes it first and so holds its lock until commit. Ids therefore
-- become visible in their order, which a sequence does not promise.
CREATE TABLE users_last (
    one        BIGINT PRIMARY KEY CHECK (one = 1),
    id         BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

INSERT INTO users_last (one, id, created_at) VALUES (1, 0, 0);
