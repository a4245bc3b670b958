#!/bin/sh
# Run once by the PostgreSQL image, on an empty volume: a user and databases each for Temporal and for Engross.
set -eu

for name in TEMPORAL_PASSWORD RESULTS_PASSWORD; do
    eval "value=\${$name:?set it in .env}"
    case $value in *[!A-Za-z0-9._-]*) echo "$name: take letters, digits, '.', '_' and '-' only" >&2; exit 1 ;; esac
done

# By stdin: the command line of a process is no secret. Nobody else may look into these databases.
psql --quiet --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
CREATE ROLE temporal LOGIN PASSWORD '$TEMPORAL_PASSWORD';
CREATE ROLE engross LOGIN PASSWORD '$RESULTS_PASSWORD';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE engross OWNER engross;
REVOKE CONNECT ON DATABASE temporal, temporal_visibility, engross FROM PUBLIC;
SQL
