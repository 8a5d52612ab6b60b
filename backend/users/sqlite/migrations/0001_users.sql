-- AUTOINCREMENT, so that the id of a row deleted by hand is never given again.
CREATE TABLE users (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL CHECK (name <> ''),
    created_at INTEGER NOT NULL, -- microseconds since the Unix epoch
    updated_at INTEGER NOT NULL
) STRICT;

-- An index ends with the row's id without being told, so this also holds the
-- order of rows created at the same moment.
CREATE INDEX users_by_time ON users (created_at);
