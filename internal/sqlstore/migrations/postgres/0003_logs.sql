-- +goose Up
CREATE TABLE job_logs (
    release     TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    step        TEXT    NOT NULL,
    saved       BIGINT  NOT NULL, -- Unix time in nanoseconds
    data        BYTEA   NOT NULL, -- gzip
    PRIMARY KEY (release, environment, step)
);
CREATE INDEX job_logs_saved ON job_logs (saved);
