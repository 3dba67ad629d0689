-- +goose Up
CREATE TABLE events (
    seq           BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of recording; never given twice
    key           TEXT    COLLATE "C" NOT NULL UNIQUE,
    time          BIGINT  NOT NULL,                  -- Unix time in nanoseconds
    kind          TEXT    NOT NULL,
    fleet         TEXT    NOT NULL,
    service       TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    release       TEXT    NOT NULL,
    release_group TEXT    NOT NULL,
    body          TEXT    NOT NULL                   -- the whole event as JSON
);
CREATE INDEX events_time        ON events (time, key);
CREATE INDEX events_fleet       ON events (fleet, time, key);
CREATE INDEX events_service     ON events (service, time, key);
CREATE INDEX events_environment ON events (environment, time, key);
CREATE INDEX events_release     ON events (release, time, key);
CREATE INDEX events_group       ON events (release_group, time, key);
CREATE INDEX events_done        ON events (fleet, service, environment, time, key) WHERE kind = 'done';

-- What is older than this was pruned, and is not recorded again.
CREATE TABLE horizon (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    time BIGINT  NOT NULL
);
INSERT INTO horizon (one, time) VALUES (1, -9223372036854775808);
