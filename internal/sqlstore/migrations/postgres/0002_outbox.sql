-- +goose Up
CREATE TABLE sinks (
    name       TEXT    PRIMARY KEY,
    registered BIGINT  NOT NULL -- Unix time in nanoseconds
);

-- A row is an event that a sink has not acknowledged.
CREATE TABLE deliveries (
    sink    TEXT    NOT NULL REFERENCES sinks (name) ON DELETE CASCADE,
    seq     BIGINT  NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    line    TEXT    NOT NULL,            -- deliveries of one line are in order; empty: in none
    attempt BIGINT  NOT NULL DEFAULT 0,  -- how often it was put off
    due     BIGINT  NOT NULL DEFAULT 0,  -- not before: Unix time in nanoseconds
    reason  TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (sink, seq)
);
CREATE INDEX deliveries_event     ON deliveries (seq);
CREATE INDEX deliveries_postponed ON deliveries (sink, line, seq, due) WHERE attempt > 0;

CREATE TABLE sink_state (
    sink    TEXT    NOT NULL REFERENCES sinks (name) ON DELETE CASCADE,
    key     TEXT    NOT NULL,
    value   BYTEA   NOT NULL,
    touched BIGINT  NOT NULL, -- Unix time in nanoseconds
    PRIMARY KEY (sink, key)
);
CREATE INDEX sink_state_touched ON sink_state (touched);
