#!/bin/sh
# Temporal's tables, made or brought up to the version of this image. Safe to repeat: it is how an upgrade begins.
set -eu

for database in temporal temporal_visibility; do
    case $database in temporal) schema=temporal ;; *) schema=visibility ;; esac
    tool="temporal-sql-tool --plugin postgres12 --ep postgres --port 5432 --user temporal --db $database"
    $tool setup-schema --version 0.0
    $tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
