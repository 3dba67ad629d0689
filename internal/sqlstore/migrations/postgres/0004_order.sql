-- +goose Up
-- Events of one moment are in the order of history.Compare: by the length of their keys, and then by the keys, since /9 comes
-- before /10.
DROP INDEX events_time;
DROP INDEX events_fleet;
DROP INDEX events_service;
DROP INDEX events_environment;
DROP INDEX events_release;
DROP INDEX events_group;
DROP INDEX events_done;
CREATE INDEX events_time        ON events (time, octet_length(key), key);
CREATE INDEX events_fleet       ON events (fleet, time, octet_length(key), key);
CREATE INDEX events_service     ON events (service, time, octet_length(key), key);
CREATE INDEX events_environment ON events (environment, time, octet_length(key), key);
CREATE INDEX events_release     ON events (release, time, octet_length(key), key);
CREATE INDEX events_group       ON events (release_group, time, octet_length(key), key);
CREATE INDEX events_done        ON events (fleet, service, environment, time, octet_length(key), key) WHERE kind = 'done';
-- When the record of a service in an environment begins.
CREATE INDEX events_place       ON events (fleet, service, environment, time) WHERE environment <> '';
