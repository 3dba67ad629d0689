-- +goose Up
CREATE TABLE sinks (
    name       TEXT    PRIMARY KEY,
    registered INTEGER NOT NULL -- Unix time in nanoseconds
) STRICT;

-- A row is an event that a sink has not acknowledged.
CREATE TABLE deliveries (
    sink    TEXT    NOT NULL REFERENCES sinks (name) ON DELETE CASCADE,
    seq     INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    line    TEXT    NOT NULL,            -- deliveries of one line are in order; empty: in none
    attempt INTEGER NOT NULL DEFAULT 0,  -- how often it was put off
    due     INTEGER NOT NULL DEFAULT 0,  -- not before: Unix time in nanoseconds
    reason  TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (sink, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_event     ON deliveries (seq);
CREATE INDEX deliveries_postponed ON deliveries (sink, line, seq, due) WHERE attempt > 0;

CREATE TABLE sink_state (
    sink    TEXT    NOT NULL REFERENCES sinks (name) ON DELETE CASCADE,
    key     TEXT    NOT NULL,
    value   BLOB    NOT NULL,
    touched INTEGER NOT NULL, -- Unix time in nanoseconds
    PRIMARY KEY (sink, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX sink_state_touched ON sink_state (touched);
