-- +goose Up
CREATE TABLE job_logs (
    release     TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    step        TEXT    NOT NULL,
    saved       INTEGER NOT NULL, -- Unix time in nanoseconds
    data        BLOB    NOT NULL, -- gzip
    PRIMARY KEY (release, environment, step)
) STRICT;
CREATE INDEX job_logs_saved ON job_logs (saved);
